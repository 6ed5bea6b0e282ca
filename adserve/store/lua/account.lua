-- Stores, replaces or removes one API key and writes the audit line with it.
-- KEYS 1 accounts; 2 version of the accounts; 3 audit.
-- ARGV 1 id; 2 its JSON ('' removes it); 3 actor; 4 action; 5 hash of the JSON before; 6 hash after; 7 now (epoch s);
--      8 the JSON that is there now ('': none).
-- Returns 1, or 0 when something else is there.
-- The audit is written first: a script that fails does not take back what it wrote, and a change without its
-- line must not be.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[8] then return 0 end
local version = redis.call('GET', KEYS[2]) or '0'
if not version:match('^%d+$') then return redis.error_reply('WRONGTYPE version of the accounts') end
redis.call('XADD', KEYS[3], '*', 'what', 'key:' .. ARGV[1], 'actor', ARGV[3], 'action', ARGV[4],
  'before', ARGV[5], 'after', ARGV[6], 'at', ARGV[7])
redis.call('INCR', KEYS[2])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
