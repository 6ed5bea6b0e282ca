-- Adds a batch of served counts once, however often it is sent, without the serves that events have
-- proven before (event.lua).
-- KEYS 1 what was flushed (seq, and hour and next: every serve before that ordinal of that hour);
--      2 serves proven before their flush (HOUR:ORDINAL to "BUCKET CELL"); 3 index of buckets;
--      4.. counter hashes.
-- ARGV 1 sequence of this batch; 2 hour; 3 next ordinal; 4 seconds to remember it; 5 number of counter
--      hashes N; then N buckets (epoch s, one a hash); then triples: index of the hash (1..N), cell, count.
-- Returns 1 when applied, 0 when it was applied before.
local seen = tonumber(redis.call('HGET', KEYS[1], 'seq') or '0')
if tonumber(ARGV[1]) <= seen then return 0 end
local hour, next_ordinal, hashes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])

for n = 1, hashes do
  if not open_counters(KEYS[3 + n], KEYS[3], ARGV[5 + n]) then return redis.error_reply('WRONGTYPE counters') end
end

local proven, taken = redis.call('HGETALL', KEYS[2]), {}
for at = 1, #proven, 2 do
  local its_hour, ordinal = proven[at]:match('^(%d+):(%d+)$')
  its_hour, ordinal = tonumber(its_hour), tonumber(ordinal)
  if its_hour < hour or (its_hour == hour and ordinal < next_ordinal) then
    taken[proven[at + 1]] = (taken[proven[at + 1]] or 0) + 1
    redis.call('HDEL', KEYS[2], proven[at])
  end
end

for at = 6 + hashes, #ARGV, 3 do
  local n, cell = tonumber(ARGV[at]), ARGV[at + 1]
  local count = tonumber(ARGV[at + 2]) - (taken[ARGV[5 + n] .. ' ' .. cell] or 0)
  if count ~= 0 then add_to(KEYS[3 + n], cell, count) end
end
redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'hour', ARGV[2], 'next', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
