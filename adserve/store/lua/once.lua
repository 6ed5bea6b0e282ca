-- Claims what is to be done once, for one caller at a time.
-- KEYS 1 its record. ARGV 1 fingerprint of the call; 2 id that what it makes is to have; 3 this claim; 4 now,
-- 5 until when the claim holds (epoch s); 6 seconds for which the record is kept.
-- Returns a word and more: "other" when another call has the record; "done", the id and the answer; "busy"; or "yours", the
-- id, and 1 when an earlier claim may have made it already.
local found = redis.call('HMGET', KEYS[1], 'print', 'id', 'answer', 'until')
local print, id, answer, busy_until = found[1], found[2], found[3], found[4]
if print and print ~= ARGV[1] then return { 'other' } end
if answer then return { 'done', id, answer } end
if busy_until and tonumber(busy_until) > tonumber(ARGV[4]) then return { 'busy' } end
redis.call('HSET', KEYS[1], 'print', ARGV[1], 'id', id or ARGV[2], 'claim', ARGV[3], 'until', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[6])
return { 'yours', id or ARGV[2], id and 1 or 0 }
