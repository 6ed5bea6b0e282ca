-- Sets the schema number if it is still what the caller has seen.
-- KEYS 1 schema number; 2 the version of adserve that wrote it. ARGV 1 number seen, empty: none; 2 new number; 3 version.
-- Returns 1 when it was set, 0 when somebody else was first.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
