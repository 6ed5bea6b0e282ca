-- Several counter hashes as they are at one moment, whatever is being rolled up.
-- KEYS the hashes. Returns for each its fields and values in turn, or nothing for a key of another type.
local found = {}
for at, key in ipairs(KEYS) do
  local reply = redis.pcall('HGETALL', key)
  found[at] = not reply['err'] and reply
end
return found
