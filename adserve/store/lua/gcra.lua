-- Lets a caller through at a rate, with bursts (the generic cell rate algorithm), or one who is counted in several ways: by
-- all of them or by none. Times in microseconds.
-- KEYS when a caller that kept to the rate would have made the calls it made, a key for each way. ARGV 1 now (epoch); 2 time
-- between two calls at the rate; 3 calls in a burst; both once for each key.
-- Returns 0, or the time after which the next call is let through.
local now, wait, dues = tonumber(ARGV[1]), 0, {}
for at, key in ipairs(KEYS) do
  local each = tonumber(ARGV[2 * at])
  local ahead = tonumber(ARGV[2 * at + 1]) * each
  local stored = tonumber(redis.call('GET', key) or now)
  local due = math.max(stored, now)
  if due > now + ahead then due = now end -- the clock was set back: nobody could have come so far
  dues[at] = due + each
  wait = math.max(wait, dues[at] - ahead - now)
end
if wait > 0 then return wait end
for at, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', dues[at]), 'PX', math.ceil((dues[at] - now) / 1000))
end
return 0
