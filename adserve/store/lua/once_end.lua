-- Ends a claim of once.lua.
-- KEYS 1 its record. ARGV 1 the claim; 2 how: "keep" with 3 the answer and 4 seconds for which it is kept; "free", so that
-- the same call may be made again; "forget", so that the key may be used for another one.
-- Returns 1, or 0 when somebody else has the record by now.
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
if ARGV[2] == 'forget' then
  redis.call('DEL', KEYS[1])
elseif ARGV[2] == 'free' then
  redis.call('HDEL', KEYS[1], 'until', 'claim')
else
  redis.call('HSET', KEYS[1], 'answer', ARGV[3])
  redis.call('HDEL', KEYS[1], 'until', 'claim')
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
return 1
