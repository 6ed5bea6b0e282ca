-- Sets the totals of a hash tag to what its counters add up to.
-- KEYS 1 totals; 2.. local days. ARGV 1 1: also when that was done before; 2 seconds to keep days; 3 a line a figure:
--      index of its key, field, count.
-- Returns 1 when they were set, 0 when they had been set before.
if ARGV[1] ~= '1' and redis.call('HEXISTS', KEYS[1], 'filled') == 1 then return 0 end
redis.call('DEL', unpack(KEYS))
if ARGV[3] == '' then return 1 end
for at, field, count in ARGV[3]:gmatch('(%d+) (%S+) (%d+)\n') do
  redis.call('HSET', KEYS[tonumber(at)], field, count)
end
for at = 2, #KEYS do redis.call('EXPIRE', KEYS[at], ARGV[2]) end
redis.call('HSET', KEYS[1], 'filled', '1')
return 1
