-- Moves the counters of one quarter-hour into site-local days, once, whoever else tries.
-- KEYS 1 counters of the bucket; 2 index of buckets; 3 index of days; 4.. counters of days.
-- ARGV 1 bucket (epoch s); 2 number of days N; then N days (YYYYMMDD, as KEYS 4..); then pairs: serial of a
--      slot, index of its day (1..N). What names no slot goes to the first day.
-- Returns 1 when moved, 0 when there was nothing, -1 when a slot came that ARGV does not know: ask again.
local cells = redis.call('HGETALL', KEYS[1])
if #cells == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
local days, day_of = tonumber(ARGV[2]), {}
for at = 3 + days, #ARGV, 2 do day_of[ARGV[at]] = tonumber(ARGV[at + 1]) end

-- Everything is read and judged before the first write: a script that fails half-way is not undone.
local sums, strange = {}, {}
for at = 1, #cells, 2 do
  local field, value = cells[at], cells[at + 1]
  local slot = field:match('^(%d+)%.')
  local day = slot and day_of[slot]
  if slot and not day then return -1 end
  if day and is_count(value) then
    sums[field] = { day, value }
  else
    strange[#strange + 1] = { day or 1, '?' .. ARGV[1] .. ':' .. field, value }
  end
end

local used = {}
for field, sum in pairs(sums) do
  local key = KEYS[3 + sum[1]]
  add_to(key, field, sum[2])
  used[sum[1]] = true
end
for _, one in ipairs(strange) do
  redis.call('HSET', KEYS[3 + one[1]], one[2], one[3])
  used[one[1]] = true
end
for day in pairs(used) do redis.call('ZADD', KEYS[3], ARGV[2 + day], ARGV[2 + day]) end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
