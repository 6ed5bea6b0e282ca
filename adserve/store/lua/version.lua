-- The catalog's version and the time of the server that has it.
-- KEYS 1 version. Returns it (0 when nothing was ever stored), epoch seconds, and microseconds.
local now = redis.call('TIME')
return { redis.call('GET', KEYS[1]) or '0', now[1], now[2] }
