-- A session with its user, as they are now, or nothing: over, of another epoch, or of a user who may not sign in.
-- KEYS 1 session; 2 users; 3 objects of the catalog.
-- ARGV 1 now (epoch s); 2 how long an idle one lasts (s); 3 how old `seen` may be before it is written (s); 4 '1' for one
--      that waits for its second factor, else ''.
-- Returns fields and values in turn, then the user's JSON; false for nothing.
local now, idle_s = tonumber(ARGV[1]), tonumber(ARGV[2])
local fields = redis.call('HGETALL', KEYS[1])
local session = {}
for at = 1, #fields, 2 do session[fields[at]] = fields[at + 1] end
if not session['user'] or (session['pending'] or '') ~= ARGV[4] then return false end
local seen, over = tonumber(session['seen']), tonumber(session['until'])
if now >= over or now - seen >= idle_s then return false end
local text = redis.call('HGET', KEYS[2], session['user'])
local readable, user = pcall(cjson.decode, text or '')
if not readable or type(user) ~= 'table' then return false end
if user['epoch'] ~= tonumber(session['epoch']) or user['state'] ~= 'active' then return false end
if type(user['advertiser']) == 'string' then
  local object = redis.call('HGET', KEYS[3], 'advertiser:' .. user['advertiser'])
  local good, advertiser = pcall(cjson.decode, object or '')
  if not good or type(advertiser) ~= 'table' or advertiser['state'] == 'archived' then return false end
end
if now - seen >= tonumber(ARGV[3]) then -- a store without room for it still lets people in
  redis.pcall('HSET', KEYS[1], 'seen', ARGV[1])
  redis.pcall('EXPIRE', KEYS[1], math.max(1, math.min(idle_s, over - now)))
end
fields[#fields + 1] = text
return fields
