-- Adds a batch of served counts once, however often it is sent.
-- KEYS 1 last sequence applied; 2 index of buckets; 3.. counter hashes.
-- ARGV 1 sequence of this batch; 2 seconds to remember it; 3 number of counter hashes N; then N
--      buckets (epoch s, one a hash); then triples: index of the hash (1..N), cell, count.
-- Returns 1 when applied, 0 when it was applied before.
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) <= seen then return 0 end
local hashes = tonumber(ARGV[3])
for n = 1, hashes do
  if redis.call('EXISTS', KEYS[2 + n]) == 0 then redis.call('ZADD', KEYS[2], ARGV[3 + n], ARGV[3 + n]) end
end
for at = 4 + hashes, #ARGV, 3 do
  redis.call('HINCRBY', KEYS[2 + tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2])
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
