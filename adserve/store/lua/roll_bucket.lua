-- Moves one quarter-hour into site-local days, once.
-- KEYS 1 counters of the bucket; 2 index of buckets; 3 index of days; 4.. day hashes.
-- ARGV 1 the bucket; 2 number of days N; then N days (YYYYMMDD); then triples: day (1..N), cell, count.
-- Returns 1 when moved, 0 when it was gone already.
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
local days = tonumber(ARGV[2])
for n = 1, days do redis.call('ZADD', KEYS[3], ARGV[2 + n], ARGV[2 + n]) end
for at = 3 + days, #ARGV, 3 do
  redis.call('HINCRBY', KEYS[3 + tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2])
end
return 1
