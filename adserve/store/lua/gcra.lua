-- Lets a caller through at a rate, with bursts (the generic cell rate algorithm). Times in microseconds.
-- KEYS 1 when a caller that kept to the rate would have made the calls it made. ARGV 1 now (epoch); 2 time between two calls
-- at the rate; 3 calls in a burst.
-- Returns 0, or the time after which the next call is let through.
local now, each = tonumber(ARGV[1]), tonumber(ARGV[2])
local ahead = tonumber(ARGV[3]) * each
local stored = tonumber(redis.call('GET', KEYS[1]) or now)
local due = math.max(stored, now)
if due > now + ahead then due = now end -- the clock was set back: nobody could have come so far
local wait = math.max(due + each - ahead - now, 0)
if wait == 0 then
  due = due + each
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
end
return wait
