-- Stores or removes one user if its version is still the expected one, and writes the audit line with it.
-- KEYS 1 users; 2 names; 3 audit; 4 a link that this uses up, if there is one.
-- ARGV 1 id; 2 expected version (0 = must not exist); 3 its JSON ('' removes it); 4 its folded name; 5 that of before, or
--      ''; 6 actor; 7 action; 8 hash before; 9 hash after; 10 now (epoch s); 11 '1' where an admin has to stay, else ''.
-- Returns 1, -1 when the version is another, -2 when the name is taken, -3 when the link is gone, or -4 when no other admin
-- would be left who can come in at least as well.
-- What fails, fails before anything is written, and the audit is written first: a script does not take back.

local function ways(text) -- of an admin to come in: 2 with a password, 1 by links as before, 0 for all others
  local readable, user = pcall(cjson.decode, text)
  if not readable or type(user) ~= 'table' or user['role'] ~= 'admin' or user['state'] ~= 'active' then return 0 end
  if (user['password'] or '') ~= '' then return 2 end
  return (tonumber(user['signed_in']) or 0) > 0 and 1 or 0
end

local function stays(least) -- whether another admin has as many
  local users = redis.call('HGETALL', KEYS[1])
  for at = 1, #users, 2 do
    if users[at] ~= ARGV[1] and ways(users[at + 1]) >= least then return true end
  end
  return false
end

local readable, user = pcall(cjson.decode, redis.call('HGET', KEYS[1], ARGV[1]) or '')
local version = readable and type(user) == 'table' and tonumber(user['version']) or 0
if version ~= tonumber(ARGV[2]) then return -1 end
local owner = redis.call('HGET', KEYS[2], ARGV[4])
if ARGV[3] ~= '' and owner and owner ~= ARGV[1] and redis.call('HEXISTS', KEYS[1], owner) == 1 then return -2 end
if KEYS[4] and redis.call('HEXISTS', KEYS[4], 'user') == 0 then return -3 end
if ARGV[11] ~= '' then
  local before = ways(redis.call('HGET', KEYS[1], ARGV[1]) or '')
  if ways(ARGV[3]) < before and not stays(before) then return -4 end
end
redis.call('XADD', KEYS[3], '*', 'what', 'user:' .. ARGV[1], 'actor', ARGV[6], 'action', ARGV[7],
  'before', ARGV[8], 'after', ARGV[9], 'at', ARGV[10])
if KEYS[4] then redis.call('DEL', KEYS[4]) end
if ARGV[5] ~= '' and (ARGV[5] ~= ARGV[4] or ARGV[3] == '') then redis.call('HDEL', KEYS[2], ARGV[5]) end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call('HSET', KEYS[2], ARGV[4], ARGV[1])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
