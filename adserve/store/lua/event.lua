-- Counts a batch of events, each exactly once.
-- A group is a ledger space and a quarter-hour of it. KEYS, 16 a group:
--      1-12 bitmaps: valid, set aside, prefetch, late of impression, view, click (in that order);
--      13 counters of the bucket; 14 index of buckets; 15 how far served counts were flushed;
--      16 serves proven before their flush; then, behind all groups, click lists for the rate rule and what readers
--      have seen.
-- ARGV 1 now (epoch s); 2 a line a group: when its bitmaps expire (epoch s), its bucket; 3 a line an event:
--      group (from 1), kind i|v|c, ordinal, verdict count|late|<reason to set aside>, cell prefix
--      "SLOT.REV.TIER.DEVICE.", impression money, click money (each "m.CUR:micros" or -), number of its click list
--      (from 1) or 0, arrival (epoch s), 1 when this very event may have been here before, so that its bit is no
--      duplicate, else 0; number of its reader's key or 0, serial of its campaign, seconds of its window.
-- Returns one word an event: counted, duplicate, late, filtered:<reason>, failed (a key of another type), or
-- expired (the bitmaps are gone: whether it was counted cannot be told any more, so it is not).
local WIDTH = 16
local START = { i = 0, v = 4, c = 8 }
local VALID, ASIDE, PREFETCH, LATE = 1, 2, 3, 4
local RATE_LIMIT, RATE_WINDOW_S = 10, 60
local groups, fresh = {}, {}
local number, base, group, reader = 0, nil, nil, nil

local function spoilt(problem)
  local text = type(problem) == 'table' and problem['err'] or tostring(problem)
  return text:find('WRONGTYPE', 1, true), text
end

-- Reads what the events of a group have to know; nothing was written for any event before.
local function open(number, expires, bucket)
  local at = (number - 1) * WIDTH
  local found = { at = at, expires = tonumber(expires), bucket = bucket, hour = math.floor(tonumber(bucket) / 3600), sums = {} }
  groups[number] = found
  if tonumber(ARGV[1]) >= found.expires then
    found.word = 'expired'
    return
  end
  local flushed = redis.call('HMGET', KEYS[at + 15], 'hour', 'next', 'gaps')
  found.flushed_hour, found.flushed_next = tonumber(flushed[1] or '-1'), tonumber(flushed[2] or '0')
  found.gaps = flushed[3] or ''
  if not open_counters(KEYS[at + 13], KEYS[at + 14], bucket) then found.word = 'failed' end
end

local function bit(kind, what, n) return redis.call('GETBIT', KEYS[base + START[kind] + what], n) == 1 end

local function put(kind, what, n, value)
  local key = KEYS[base + START[kind] + what]
  if fresh[key] == nil then fresh[key] = redis.call('EXISTS', key) == 0 end
  redis.call('SETBIT', key, n, value)
  if fresh[key] then redis.call('EXPIREAT', key, group.expires); fresh[key] = false end
end

local function add(field, n) group.sums[field] = (group.sums[field] or 0) + n end

local function money(cell, text)
  if text ~= '-' then
    local field, micros = text:match('^(.-):(%d+)$')
    add(cell .. field, tonumber(micros))
  end
end

-- Whether the flush of a serve was lost with the store that had it.
local function lost(n)
  for from_hour, from, to_hour, to in group.gaps:gmatch('(%-?%d+):(%d+)%-(%d+):(%d+) ') do
    if not before(group.hour, n, tonumber(from_hour), tonumber(from))
      and before(group.hour, n, tonumber(to_hour), tonumber(to)) then
      return true
    end
  end
  return false
end

-- An event proves its serve: if that is not flushed yet, and may never be, it is counted here, and
-- serves.lua takes it out of the flush that brings it.
local function prove(n, cell)
  if before(group.hour, n, group.flushed_hour, group.flushed_next) and not lost(n) then return end
  local key = KEYS[base + 16]
  if redis.call('HSETNX', key, group.hour .. ':' .. n, group.bucket .. ' ' .. cell .. 's') == 1 then
    redis.call('EXPIREAT', key, group.expires)
    add(cell .. 's', 1)
  end
end

-- Counts an impression for its reader, in a window that begins with the first one. A key of another type keeps no
-- event from being counted.
local function shown()
  if not reader or reader.over <= tonumber(ARGV[1]) then return end
  local had = redis.pcall('HGET', reader.key, reader.campaign)
  if type(had) == 'table' then return end
  local times, start = (had or ''):match('^(%d+):(%d+)$')
  if not times or reader.now >= tonumber(start) + reader.window then times, start = 0, reader.now end
  redis.call('HSET', reader.key, reader.campaign, string.format('%d:%d', times + 1, start))
  local left = start + reader.window - ARGV[1]
  if redis.call('TTL', reader.key) < left then redis.call('EXPIRE', reader.key, string.format('%d', left)) end
end

-- Makes an impression valid. What was set aside before for another reason than prefetching stays so, and never
-- comes here.
local function impression(n, cell, cpm)
  put('i', VALID, n, 1)
  add(cell .. 'i', 1)
  money(cell, cpm)
  if bit('c', VALID, n) then add(cell .. 'u', -1) end
  shown()
end

-- Takes back that an event was set aside for prefetching.
local function unfetch(kind, n, cell)
  put(kind, PREFETCH, n, 0)
  put(kind, ASIDE, n, 0)
  add(cell .. 'f' .. kind .. '.prefetch', -1)
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
  prove(n, cell)
  if bit(kind, VALID, n) then return 'duplicate' end
  local aside = bit(kind, ASIDE, n)
  local prefetched = aside and bit(kind, PREFETCH, n)
  if bit(kind, LATE, n) then return 'duplicate' end
  if verdict == 'late' then
    if aside then return 'duplicate' end
    put(kind, LATE, n, 1)
    add(cell .. 'l' .. kind, 1)
    return 'late'
  end
  if aside and not (verdict == 'count' and prefetched) then return 'duplicate' end
  if verdict == 'count' and list > 0 and over_rate(KEYS[number * WIDTH + list], now) then verdict = 'rate' end
  local seen, seen_aside, seen_prefetched = false, false, false
  if kind == 'v' then
    seen, seen_aside = bit('i', VALID, n), bit('i', ASIDE, n)
    seen_prefetched = seen_aside and bit('i', PREFETCH, n)
    -- a view of an impression that was set aside is set aside too, so that views <= impressions
    if verdict == 'count' and seen_aside and not seen_prefetched then verdict = 'bot' end
  end
  if prefetched then unfetch(kind, n, cell) end
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
  if kind == 'v' and not seen then
    if seen_prefetched then unfetch('i', n, cell) end
    if bit('i', LATE, n) then put('i', LATE, n, 0); add(cell .. 'li', -1) end
    impression(n, cell, cpm)
  end
  if kind == 'c' then
    money(cell, cpc)
    if not bit('i', VALID, n) then add(cell .. 'u', 1) end
  end
  return 'counted'
end

for expires, bucket in ARGV[2]:gmatch('(%d+) (%d+)\n') do
  number = number + 1
  local done, problem = pcall(open, number, expires, bucket)
  if not done then
    local of_type, text = spoilt(problem)
    -- out of memory, read-only, no disk: nothing of the batch was written, and it may come again
    if not of_type then return redis.error_reply(text) end
    groups[number].word = 'failed'
  end
end

-- What an event says of its reader: the number of the key, the campaign's serial, the seconds of the window.
local function reader_of(words, arrival)
  local key, campaign, window = words:match('(%d+) (%d+) (%d+)')
  if key == '0' then return nil end
  local now = tonumber(arrival)
  local found = { key = KEYS[number * WIDTH + key], campaign = campaign, window = tonumber(window), now = now }
  found.over = now + found.window
  return found
end

local answers = {}
local events = ARGV[3]:gmatch('(%d+) (%a) (%d+) (%S+) (%S+) (%S+) (%S+) (%d+) (%d+) (%d) (%d+ %d+ %d+)\n')
for its_group, kind, ordinal, verdict, cell, cpm, cpc, list, arrival, again, whom in events do
  group, reader = groups[tonumber(its_group)], reader_of(whom, arrival)
  base = group.at
  local answer = group.word
  if not answer then
    local done
    done, answer = pcall(judge, kind, tonumber(ordinal), verdict, cell, cpm, cpc, tonumber(list), tonumber(arrival))
    if not done then
      local of_type, text = spoilt(answer)
      if not of_type then return redis.error_reply(text) end
      answer = 'failed'
    elseif answer == 'duplicate' and again == '0' then
      add(cell .. 'd', 1)
    end
  end
  answers[#answers + 1] = answer
end
for _, one in ipairs(groups) do
  for cell, n in pairs(one.sums) do
    if n ~= 0 then add_to(KEYS[one.at + 13], cell, n) end
  end
end
return answers
