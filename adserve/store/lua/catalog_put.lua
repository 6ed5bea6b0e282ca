-- Stores one object if its version is still the expected one, and writes the audit line with it.
-- KEYS 1 objects; 2 changed; 3 version; 4 audit.
-- ARGV 1 "kind:id"; 2 expected version of the object (0 = must not exist); 3 its JSON; 4 actor;
--      5 action; 6 hash of the JSON before; 7 hash after; 8 now (epoch s); 9 "kind:id" of what must not be
--      archived, or ''; 10 the catalog's version as of which this was found to be right, or ''.
-- Returns the catalog's new version, -1 when the object's or the catalog's version is another, or -2 when what must not
-- be archived is. What cannot be read counts as absent, so that it can be put right.
local function read(name)
  local readable, object = pcall(cjson.decode, redis.call('HGET', KEYS[1], name) or '')
  return readable and type(object) == 'table' and object or {}
end

if (tonumber(read(ARGV[1])['version']) or 0) ~= tonumber(ARGV[2]) then return -1 end
if ARGV[9] ~= '' and read(ARGV[9])['state'] == 'archived' then return -2 end
-- What fails, fails before anything is written, and the audit is written first: a script does not take back.
redis.call('ZCARD', KEYS[2])
local known = redis.call('GET', KEYS[3]) or '0'
if not known:match('^%d+$') then return redis.error_reply('WRONGTYPE version of the catalog') end
if ARGV[10] ~= '' and known ~= ARGV[10] then return -1 end
redis.call('XADD', KEYS[4], '*', 'what', ARGV[1], 'actor', ARGV[4], 'action', ARGV[5],
  'before', ARGV[6], 'after', ARGV[7], 'at', ARGV[8])
local now = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[1])
return now
