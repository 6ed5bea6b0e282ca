-- What a worker is asked, under each of its names; that it lives is noted.
-- KEYS in pairs: whether such a worker lives, its questions. ARGV 1 seconds for which it counts as alive; 2 questions at once.
-- Returns the questions, which are taken.
local found = {}
for at = 1, #KEYS, 2 do
  redis.call('SET', KEYS[at], '1', 'EX', ARGV[1])
  while #found < tonumber(ARGV[2]) do
    local question = redis.call('LPOP', KEYS[at + 1])
    if not question then break end
    found[#found + 1] = question
  end
end
return found
