-- Counts an attempt at the second factor of a session before it is looked at; one attempt too many ends the session.
-- KEYS 1 session. ARGV 1 attempts that it has.
-- Returns the number of the attempt, or 0 when there is none left.
if redis.call('HEXISTS', KEYS[1], 'pending') == 0 then return 0 end
local attempt = redis.call('HINCRBY', KEYS[1], 'tries', 1)
if attempt <= tonumber(ARGV[1]) then return attempt end
redis.call('DEL', KEYS[1])
return 0
