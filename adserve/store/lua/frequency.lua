-- How often readers have seen campaigns.
-- KEYS: one a reader and hash tag. ARGV 1 a line a key: its number (from 1), then serials of campaigns.
-- Returns a list a line: "COUNT:START" (START epoch s) for each serial, or nothing; the word "failed" where the key
-- is of another type.
local answers = {}
for number, serials in ARGV[1]:gmatch('(%d+)([ %d]+)\n') do
  local fields = {}
  for serial in serials:gmatch('%d+') do fields[#fields + 1] = serial end
  local found = redis.pcall('HMGET', KEYS[tonumber(number)], unpack(fields))
  answers[#answers + 1] = found['err'] and 'failed' or found
end
return answers
