-- Makes a link that works once; one of the same purpose that the user had ends.
-- KEYS 1 link; 2 links of the user; 3 the link before, if there is one.
-- ARGV 1 purpose; 2 digest; 3 digest of the one before, or ''; 4 how long it works (s); 5 how long the list lasts (s); 6..
--      fields and values in turn.
-- Returns 1, or 0 when the one before is another by now.
if (redis.call('HGET', KEYS[2], ARGV[1]) or '') ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[5])
if KEYS[3] then redis.call('DEL', KEYS[3]) end
return 1
