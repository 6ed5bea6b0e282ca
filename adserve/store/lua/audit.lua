-- What the ledger of one hour holds and what its counters say, at one moment.
-- KEYS N bitmaps of one ledger hour, then its counter hashes. ARGV 1 N.
-- Returns the bits set in each bitmap, then for each hash its fields and values in turn; false for a key
-- of another type.
local bitmaps, found = tonumber(ARGV[1]), {}
for at, key in ipairs(KEYS) do
  local reply
  if at <= bitmaps then reply = redis.pcall('BITCOUNT', key) else reply = redis.pcall('HGETALL', key) end
  found[at] = not (type(reply) == 'table' and reply['err']) and reply
end
return found
