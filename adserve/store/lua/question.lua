-- Asks a worker, or whichever comes first.
-- KEYS 1 whether such a worker lives; 2 its questions. ARGV 1 the question; 2 seconds for which it is kept; 3 how many may wait.
-- Returns "asked", "nobody" when no such worker lives, or "busy" when too many wait.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'nobody' end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'busy' end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 'asked'
