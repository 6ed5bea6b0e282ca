-- Counts a batch of events of one ledger space and one quarter-hour, each exactly once.
-- KEYS 1-12 bitmaps: valid, set aside, prefetch, late of impression, view, click (in that order);
--      13 counters of the bucket; 14 index of buckets; 15 how far served counts were flushed;
--      16 serves proven before their flush; 17.. click lists for the rate rule.
-- ARGV 1 now (epoch s); 2 when the bitmaps expire (epoch s); 3 the bucket; then nine an event:
--      kind i|v|c; ordinal; verdict count|late|<reason to set aside>; cell prefix "SLOT.REV.TIER.DEVICE.";
--      impression money field or ""; click money field or "" (each "m.CUR:micros"); index of the click list in KEYS or 0;
--      arrival (epoch s); 1 when this very event may have been here before, so that its bit is no duplicate, else 0.
-- Returns one word an event: counted, duplicate, late, filtered:<reason>, failed (a key of another type), or
-- expired (the bitmaps are gone: whether it was counted cannot be told any more, so it is not).
local expires, bucket = tonumber(ARGV[2]), ARGV[3]
local FIELDS = 9
local base = { i = 0, v = 4, c = 8 }
local VALID, ASIDE, PREFETCH, LATE = 1, 2, 3, 4
local RATE_LIMIT, RATE_WINDOW_S = 10, 60
local sums, fresh = {}, {}
local hour = math.floor(tonumber(bucket) / 3600)
local flushed = redis.call('HMGET', KEYS[15], 'hour', 'next', 'gaps')
local flushed_hour, flushed_next = tonumber(flushed[1] or '-1'), tonumber(flushed[2] or '0')
local gaps = flushed[3] or ''

local function bit(kind, what, n) return redis.call('GETBIT', KEYS[base[kind] + what], n) == 1 end

local function put(kind, what, n, value)
  local key = KEYS[base[kind] + what]
  if fresh[key] == nil then fresh[key] = redis.call('EXISTS', key) == 0 end
  redis.call('SETBIT', key, n, value)
  if fresh[key] then redis.call('EXPIREAT', key, expires); fresh[key] = false end
end

local function add(field, n) sums[field] = (sums[field] or 0) + n end

local function money(cell, text)
  if text ~= '' then
    local field, micros = text:match('^(.-):(%d+)$')
    add(cell .. field, tonumber(micros))
  end
end

-- Whether the flush of a serve was lost with the store that had it.
local function lost(n)
  for from_hour, from, to_hour, to in gaps:gmatch('(%-?%d+):(%d+)%-(%d+):(%d+) ') do
    if not before(hour, n, tonumber(from_hour), tonumber(from)) and before(hour, n, tonumber(to_hour), tonumber(to)) then
      return true
    end
  end
  return false
end

-- An event proves its serve: if that is not flushed yet, and may never be, it is counted here, and
-- serves.lua takes it out of the flush that brings it.
local function prove(n, cell)
  if before(hour, n, flushed_hour, flushed_next) and not lost(n) then return end
  if redis.call('HSETNX', KEYS[16], hour .. ':' .. n, bucket .. ' ' .. cell .. 's') == 1 then
    redis.call('EXPIREAT', KEYS[16], expires)
    add(cell .. 's', 1)
  end
end

-- Makes an impression valid, taking back an earlier prefetch or lateness of the same serve.
local function impression(n, cell, cpm)
  if bit('i', PREFETCH, n) then
    put('i', PREFETCH, n, 0); put('i', ASIDE, n, 0); add(cell .. 'fi.prefetch', -1)
  end
  if bit('i', LATE, n) then put('i', LATE, n, 0); add(cell .. 'li', -1) end
  put('i', VALID, n, 1)
  add(cell .. 'i', 1)
  money(cell, cpm)
  if bit('c', VALID, n) then add(cell .. 'u', -1) end
end

local function over_rate(key, now)
  local tenth = redis.call('LINDEX', key, RATE_LIMIT - 1)
  if tenth and tonumber(tenth) > now - RATE_WINDOW_S then return true end
  redis.call('LPUSH', key, now)
  redis.call('LTRIM', key, 0, RATE_LIMIT - 1)
  redis.call('EXPIRE', key, RATE_WINDOW_S)
  return false
end

local function judge(kind, n, verdict, cell, cpm, cpc, list, now)
  if bit(kind, VALID, n) then return 'duplicate' end
  if verdict == 'late' then
    if bit(kind, ASIDE, n) or bit(kind, LATE, n) then return 'duplicate' end
    put(kind, LATE, n, 1)
    add(cell .. 'l' .. kind, 1)
    return 'late'
  end
  if bit(kind, LATE, n) then return 'duplicate' end
  if bit(kind, ASIDE, n) and not (verdict == 'count' and bit(kind, PREFETCH, n)) then return 'duplicate' end
  if verdict == 'count' and list > 0 and over_rate(KEYS[list], now) then verdict = 'rate' end
  -- a view of an impression that was set aside is set aside too, so that views <= impressions
  if verdict == 'count' and kind == 'v' and bit('i', ASIDE, n) and not bit('i', PREFETCH, n) then verdict = 'bot' end
  local was_prefetch = bit(kind, PREFETCH, n)
  if was_prefetch then
    put(kind, PREFETCH, n, 0); put(kind, ASIDE, n, 0); add(cell .. 'f' .. kind .. '.prefetch', -1)
  end
  if verdict ~= 'count' then
    put(kind, ASIDE, n, 1)
    if verdict == 'prefetch' then put(kind, PREFETCH, n, 1) end
    add(cell .. 'f' .. kind .. '.' .. verdict, 1)
    return 'filtered:' .. verdict
  end
  if kind == 'i' then
    impression(n, cell, cpm)
    return 'counted'
  end
  put(kind, VALID, n, 1)
  add(cell .. kind, 1)
  if kind == 'v' and not bit('i', VALID, n) then impression(n, cell, cpm) end
  if kind == 'c' then
    money(cell, cpc)
    if not bit('i', VALID, n) then add(cell .. 'u', 1) end
  end
  return 'counted'
end

if not open_counters(KEYS[13], KEYS[14], bucket) then return redis.error_reply('WRONGTYPE counters') end
local answers = {}
if tonumber(ARGV[1]) >= expires then
  for at = 4, #ARGV, FIELDS do answers[#answers + 1] = 'expired' end
  return answers
end
for at = 4, #ARGV, FIELDS do
  local n, cell = tonumber(ARGV[at + 1]), ARGV[at + 3]
  prove(n, cell)
  local done, answer = pcall(
    judge, ARGV[at], n, ARGV[at + 2], cell, ARGV[at + 4], ARGV[at + 5], tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]))
  if not done then
    local text = type(answer) == 'table' and answer['err'] or tostring(answer)
    -- out of memory, read-only, no disk: nothing of the batch was written, and it may come again
    if not text:find('WRONGTYPE', 1, true) then return redis.error_reply(text) end
  end
  if answer == 'duplicate' and ARGV[at + 8] == '0' then add(cell .. 'd', 1) end
  answers[#answers + 1] = done and answer or 'failed'
end
for cell, n in pairs(sums) do
  if n ~= 0 then add_to(KEYS[13], cell, n) end
end
return answers
