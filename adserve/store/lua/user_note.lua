-- Writes a line of the audit about a user of whom nothing changed.
-- KEYS 1 audit. ARGV 1 id; 2 actor; 3 action; 4 now (epoch s).
redis.call('XADD', KEYS[1], '*', 'what', 'user:' .. ARGV[1], 'actor', ARGV[2], 'action', ARGV[3],
  'before', '', 'after', '', 'at', ARGV[4])
return 1
