-- Any one command, for its reply as the server gives it.
-- KEYS 1 its key. ARGV 1 the command; 2.. what follows the key. Returns the reply.
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
