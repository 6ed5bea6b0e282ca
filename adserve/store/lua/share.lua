-- Stores or removes one share link and writes the audit line of its campaign with it.
-- KEYS 1 shares; 2 audit.
-- ARGV 1 digest of its secret; 2 its JSON ('' removes it); 3 "campaign:id"; 4 actor; 5 action; 6 id before; 7 id after;
--      8 now (epoch s); 9 the most links that may be.
-- Returns 1; 0 when what was to be removed is not there, or what was to be stored is; -1 when there are too many.
-- The audit is written first, as in account.lua.
if (redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0) == (ARGV[2] == '') then return 0 end
if ARGV[2] ~= '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[9]) then return -1 end
redis.call('XADD', KEYS[2], '*', 'what', ARGV[3], 'actor', ARGV[4], 'action', ARGV[5],
  'before', ARGV[6], 'after', ARGV[7], 'at', ARGV[8])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
