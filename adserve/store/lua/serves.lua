-- Adds a batch of served counts once, however often it is sent, without the serves that events have
-- proven before (event.lua).
-- KEYS 1 what was flushed (seq; hour and next: every serve before that ordinal of that hour, without the gaps);
--      2 serves proven before their flush (HOUR:ORDINAL to "BUCKET CELL"); 3 index of buckets;
--      4.. counter hashes.
-- ARGV 1 sequence of this batch; 2 and 3 hour and ordinal of its first serve; 4 and 5 those after its last;
--      6 seconds to remember it; then the bucket of each counter hash (epoch s); last a line a cell: index of its hash
--      (from 1), cell, count.
-- Returns 1 when applied, 0 when it was applied before.
local seen = redis.call('HMGET', KEYS[1], 'seq', 'hour', 'next', 'gaps')
if tonumber(ARGV[1]) <= tonumber(seen[1] or '0') then return 0 end
local from_hour, from, hour, to = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local FIRST_BUCKET = 6
local hashes = #KEYS - 3

-- A flush in between is gone: a replica was behind when it became the primary. Events of its serves count them.
local gaps, seen_hour, seen_next = seen[4] or '', tonumber(seen[2] or '-1'), tonumber(seen[3] or '0')
if before(seen_hour, seen_next, from_hour, from) then
  gaps = gaps .. string.format('%d:%d-%d:%d ', seen_hour, seen_next, from_hour, from)
end

for n = 1, hashes do
  if not open_counters(KEYS[3 + n], KEYS[3], ARGV[FIRST_BUCKET + n]) then return redis.error_reply('WRONGTYPE counters') end
end

local proven, taken = redis.call('HGETALL', KEYS[2]), {}
for at = 1, #proven, 2 do
  local its_hour, ordinal = proven[at]:match('^(%d+):(%d+)$')
  its_hour, ordinal = tonumber(its_hour), tonumber(ordinal)
  if not before(its_hour, ordinal, from_hour, from) and before(its_hour, ordinal, hour, to) then
    taken[proven[at + 1]] = (taken[proven[at + 1]] or 0) + 1
    redis.call('HDEL', KEYS[2], proven[at])
  end
end

for place, cell, sum in ARGV[#ARGV]:gmatch('(%d+) (%S+) (%d+)\n') do
  local n = tonumber(place)
  local count = tonumber(sum) - (taken[ARGV[FIRST_BUCKET + n] .. ' ' .. cell] or 0)
  if count ~= 0 then add_to(KEYS[3 + n], cell, count) end
end
redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'hour', ARGV[4], 'next', ARGV[5], 'gaps', gaps)
redis.call('EXPIRE', KEYS[1], ARGV[6])
return 1
