-- Stores or removes one share link and writes the audit line of its campaign with it.
-- KEYS 1 shares; 2 audit.
-- ARGV 1 digest of its secret; 2 its JSON ('' removes it); 3 "campaign:id"; 4 actor; 5 action; 6 id before; 7 id after;
--      8 now (epoch s); 9 the most links that may be; 10 the most of one campaign; 11 what stands in the JSON of each
--      of this campaign.
-- Returns 1; 0 when what was to be removed is not there, or what was to be stored is; -1 when there are too many, -2
-- when the campaign has too many.
-- The audit is written first, as in account.lua.
if (redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0) == (ARGV[2] == '') then return 0 end
if ARGV[2] ~= '' then
  local every, its = redis.call('HVALS', KEYS[1]), 0
  for _, text in ipairs(every) do
    if text:find(ARGV[11], 1, true) then its = its + 1 end
  end
  if its >= tonumber(ARGV[10]) then return -2 end
  if #every >= tonumber(ARGV[9]) then return -1 end
end
redis.call('XADD', KEYS[2], '*', 'what', ARGV[3], 'actor', ARGV[4], 'action', ARGV[5],
  'before', ARGV[6], 'after', ARGV[7], 'at', ARGV[8])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
