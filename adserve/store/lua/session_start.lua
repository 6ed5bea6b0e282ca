-- Begins a session, in place of another if there is one.
-- KEYS 1 session; 2 sessions of the user; 3 the one that it takes the place of, if there is one.
-- ARGV 1 its digest; 2 created (epoch s); 3 how long it lasts unused (s); 4 how long the list lasts (s); 5 how many a user
--      may have; 6 '' for one that is not listed; 7 digest of the one before; 8.. fields and values in turn.
-- Returns the digests of those that are too many, to be ended.
redis.call('HSET', KEYS[1], unpack(ARGV, 8))
redis.call('EXPIRE', KEYS[1], ARGV[3])
if KEYS[3] then
  redis.call('DEL', KEYS[3])
  redis.call('ZREM', KEYS[2], ARGV[7])
end
if ARGV[6] == '' then return {} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', tonumber(ARGV[2]) - tonumber(ARGV[4]))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[4])
local many = redis.call('ZRANGE', KEYS[2], 0, -1 - tonumber(ARGV[5]))
if #many > 0 then redis.call('ZREM', KEYS[2], unpack(many)) end
return many
