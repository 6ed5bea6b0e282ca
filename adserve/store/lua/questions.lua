-- What a worker is asked, under each of its names; that it lives is noted.
-- KEYS 1 the workers that live; then in pairs: whether such a worker lives, its questions.
-- ARGV 1 seconds for which it counts as alive; 2 questions at once; then the names that belong among the workers.
-- Returns the questions, which are taken.
local found = {}
for at = 2, #KEYS, 2 do
  redis.call('SET', KEYS[at], '1', 'EX', ARGV[1])
  while #found < tonumber(ARGV[2]) do
    local question = redis.call('LPOP', KEYS[at + 1])
    if not question then break end
    found[#found + 1] = question
  end
end
for at = 3, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[at], '1')
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return found
