-- What scripts that write counter hashes share; it stands before them.

-- Whether a place in the ledger (hour, ordinal) lies before another.
local function before(hour, n, other_hour, other)
  return hour < other_hour or (hour == other_hour and n < other)
end

local function is_count(text) return #text <= 18 and (text == '0' or text:match('^[1-9]%d*$')) end

-- Opens a counter hash for writing: false when the key holds something else, so that nothing is written at all.
local function open_counters(key, index, bucket)
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'none' then redis.call('ZADD', index, bucket, bucket) end
  return kind == 'none' or kind == 'hash'
end

-- Adds to a cell. A value that is no count, or at the end of the range, is put aside under '?', where
-- reports find and name it, and the counting goes on.
local function add_to(key, cell, n)
  local sum = redis.pcall('HINCRBY', key, cell, n)
  if type(sum) == 'table' and sum['err'] then
    redis.call('HSET', key, '?' .. cell, redis.call('HGET', key, cell))
    redis.call('HSET', key, cell, n)
  end
end

