-- Keeps the secret of a second factor with the session that sets it up; one that it has already stays.
-- KEYS 1 session. ARGV 1 the secret.
-- Returns the secret that the session has, or false when the session has ended: it is not made anew.
if redis.call('HEXISTS', KEYS[1], 'user') == 0 then return false end
redis.call('HSETNX', KEYS[1], 'setup', ARGV[1])
return redis.call('HGET', KEYS[1], 'setup')
