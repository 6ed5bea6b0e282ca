-- What a keyed pair got, and if it got nothing so far, what it gets from now on: the first one is let in, however often it asks.
-- KEYS 1 its record (number of the picture to decision); 2 how many began in this hour of the site.
-- ARGV 1 number of the picture; 2 the decision for it, or nothing to only look; 3 seconds for which a record is kept from its
-- beginning on; 4 how many may begin in an hour.
-- Returns 1 when there is room for another, else 0; then the record.
local room = (tonumber(redis.call('GET', KEYS[2]) or '0') or 0) < tonumber(ARGV[4])
if ARGV[2] ~= '' and room and redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  if redis.call('HLEN', KEYS[1]) == 1 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
  redis.call('INCR', KEYS[2])
  redis.call('EXPIRE', KEYS[2], 7200)
end
return { room and 1 or 0, redis.call('HGETALL', KEYS[1]) }
