-- Counts a batch of events, each exactly once.
-- A group is a ledger space and a quarter-hour of it. KEYS, 17 a group:
--      1-12 bitmaps: valid, set aside, prefetch, late of impression, view, click (in that order);
--      13 counters of the bucket; 14 index of buckets; 15 how far served counts were flushed;
--      16 serves proven before their flush; 17 totals of campaigns; then, behind all groups, the others: click lists for
--      the rate rule, local days of campaigns, grants of campaigns, what readers have seen.
-- ARGV 1 now (epoch s); 2 a line a group: when its bitmaps expire (epoch s), its bucket; 3 a line an event:
--      group (from 1), kind i|v|c, ordinal, verdict count|late|<reason to set aside>, cell prefix
--      "SLOT.REV.TIER.DEVICE.", impression money, click money (each "m.CUR:micros" or -), number of its click list
--      (from 1, among the others) or 0, arrival (epoch s), 1 when this very event may have been here before, so that its
--      bit is no duplicate, else 0; then campaign or 0, its day, number of that or 0; and where the campaign has ceilings or
--      its reader is known: number of its grants or 0, name of the grant, ceilings of impressions in all and of the day
--      and of clicks likewise (I:D:C:D, - for none), number of its reader or 0, seconds of the reader's window.
-- An impression or click beyond a ceiling is set aside as cap: first its bit is looked at, then its grant, then the
--      ceilings themselves (core/grants.py).
-- Returns one word an event: counted, duplicate, late, filtered:<reason>, failed (a key of another type), or
-- expired (the bitmaps are gone: whether it was counted cannot be told any more, so it is not).
local WIDTH = 17
local START = { i = 0, v = 4, c = 8 }
local VALID, ASIDE, PREFETCH, LATE = 1, 2, 3, 4
local RATE_LIMIT, RATE_WINDOW_S = 10, 60
local KEEP_S = 345600
local groups, fresh = {}, {}
local number, base, group = 0, nil, nil
local hashes, quotas, ceilings = {}, {}, {}
local NO_CEILINGS = '-:-:-:-'
local campaign = {}

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
  redis.call('HLEN', KEYS[at + 17])
  if not open_counters(KEYS[at + 13], KEYS[at + 14], bucket) then found.word = 'failed' end
end

-- A hash of counts by campaign, whose additions are written at the end. Fails at once when the key is of another type.
local function counts(key)
  local found = hashes[key]
  if not found then
    redis.call('HLEN', key)
    found = { known = {}, adds = {} }
    hashes[key] = found
  end
  return found
end

local function count_of(key, field)
  local one = counts(key)
  if not one.known[field] then one.known[field] = tonumber(redis.call('HGET', key, field) or '0') or 0 end
  return one.known[field]
end

local function bump(key, field)
  local one = counts(key)
  one.adds[field] = (one.adds[field] or 0) + 1
  if one.known[field] then one.known[field] = one.known[field] + 1 end
end

-- What a campaign may have: impressions in all and of the day, clicks likewise; nil where there is no end.
local function ceilings_of(text)
  if not ceilings[text] then
    local found = {}
    for one in text:gmatch('[^:]+') do found[#found + 1] = tonumber(one) or false end
    ceilings[text] = found
  end
  return ceilings[text]
end

local function quota_of(key)
  if not quotas[key] then
    quotas[key] = { grants = read_grants(redis.call('HGETALL', key)), changed = {}, gone = {} }
  end
  return quotas[key]
end

-- Whether an impression of the campaign may be counted; its grant is then used.
local function use_allowance()
  if campaign.ceilings == NO_CEILINGS then return true end
  local may = ceilings_of(campaign.ceilings)
  local total, daily = may[1], may[2]
  if not total and not daily then return true end
  local spent = total and count_of(campaign.totals, campaign.serial .. '.i') or 0
  local today = daily and count_of(campaign.today, campaign.serial .. '.i') or 0
  if (total and spent >= total) or (daily and today >= daily) then return false end
  if campaign.grants == 0 then return true end
  local quota = quota_of(KEYS[campaign.grants])
  local one = quota.grants.open[campaign.grant]
  if one and tonumber(ARGV[1]) < one.close and one.day == campaign.day and one.used < one.size then
    one.used = one.used + 1
    quota.changed[campaign.grant] = one
    if one.used == one.size then
      quota.grants.issued, quota.grants.confirmed = quota.grants.issued + one.size, quota.grants.confirmed + one.used
      quota.grants.open[campaign.grant], quota.changed[campaign.grant] = nil, nil
      quota.gone[#quota.gone + 1] = campaign.grant
    end
    return true
  end
  local out, out_today = 0, 0
  for _, other in pairs(quota.grants.open) do
    out = out + other.size - other.used
    if other.day == campaign.day then out_today = out_today + other.size - other.used end
  end
  return not ((total and spent + out >= total) or (daily and today + out_today >= daily))
end

-- Whether a click of the campaign may be counted.
local function may_click()
  if campaign.ceilings == NO_CEILINGS then return true end
  local may = ceilings_of(campaign.ceilings)
  if may[3] and count_of(campaign.totals, campaign.serial .. '.c') >= may[3] then return false end
  return not (may[4] and count_of(campaign.today, campaign.serial .. '.c') >= may[4])
end

-- Counts an impression or click for its campaign.
local function count_campaign(what)
  if campaign.serial ~= '0' then
    bump(campaign.totals, campaign.serial .. what)
    if campaign.today then
      bump(campaign.today, campaign.serial .. what)
      hashes[campaign.today].passes = true
    end
  end
end

-- Counts an impression for its reader: in the window that is open, or in a new one, unless that is over by now. A key of
-- another type keeps no event from being counted.
local function count_reader(arrival)
  if campaign.reader == 0 or arrival + campaign.window_s <= tonumber(ARGV[1]) then return end
  local key, window_s = KEYS[campaign.reader], campaign.window_s
  local had = redis.pcall('HGET', key, campaign.serial)
  if type(had) == 'table' then return end
  local times, start = (had or ''):match('^(%d+):(%d+)$')
  times, start = tonumber(times), tonumber(start)
  if not times or start + window_s <= arrival then times, start = 0, arrival end
  redis.call('HSET', key, campaign.serial, string.format('%d:%d', times + 1, start))
  local left = start + window_s - ARGV[1]
  if redis.call('TTL', key) < left then redis.call('EXPIRE', key, string.format('%d', left)) end
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

-- Makes an impression valid. What was set aside before for another reason than prefetching stays so, and never
-- comes here.
local function impression(n, cell, cpm, arrival)
  put('i', VALID, n, 1)
  add(cell .. 'i', 1)
  count_campaign('.i')
  count_reader(arrival)
  money(cell, cpm)
  if bit('c', VALID, n) then add(cell .. 'u', -1) end
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
  if campaign.today then counts(campaign.today) end
  if campaign.grants > 0 then redis.call('HLEN', KEYS[campaign.grants]) end
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
  if verdict == 'count' and kind == 'c' and not may_click() then verdict = 'cap' end
  local seen, seen_aside, seen_prefetched = false, false, false
  if kind == 'v' then
    seen, seen_aside = bit('i', VALID, n), bit('i', ASIDE, n)
    seen_prefetched = seen_aside and bit('i', PREFETCH, n)
    -- a view of an impression that was set aside is set aside too, so that views <= impressions
    if verdict == 'count' and seen_aside and not seen_prefetched then verdict = 'bot' end
  end
  -- what makes an impression needs an allowance; without one an earlier prefetch stays what it is
  if verdict == 'count' and (kind == 'i' or (kind == 'v' and not seen)) and not use_allowance() then verdict = 'cap' end
  if prefetched and verdict == 'cap' then return 'duplicate' end
  if prefetched then unfetch(kind, n, cell) end
  if verdict ~= 'count' then
    put(kind, ASIDE, n, 1)
    if verdict == 'prefetch' then put(kind, PREFETCH, n, 1) end
    add(cell .. 'f' .. kind .. '.' .. verdict, 1)
    return 'filtered:' .. verdict
  end
  if kind == 'i' then
    impression(n, cell, cpm, now)
    return 'counted'
  end
  put(kind, VALID, n, 1)
  add(cell .. kind, 1)
  if kind == 'v' and not seen then
    if seen_prefetched then unfetch('i', n, cell) end
    if bit('i', LATE, n) then put('i', LATE, n, 0); add(cell .. 'li', -1) end
    impression(n, cell, cpm, now)
  end
  if kind == 'c' then
    count_campaign('.c')
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

local function other(number_of)
  local n = tonumber(number_of)
  return n > 0 and number * WIDTH + n or 0
end

local EVENT = '(%d+) (%a) (%d+) (%S+) (%S+) (%S+) (%S+) (%d+) (%d+) (%d) (%d+) (%-?%d+) (%d+)([^\n]*)\n'
local MORE = '(%d+) (%S+) (%S+) (%d+) (%d+)'
local answers = {}
for its_group, kind, ordinal, verdict, cell, cpm, cpc, list, arrival, again, serial, day, today, more in ARGV[3]:gmatch(EVENT) do
  group = groups[tonumber(its_group)]
  base = group.at
  campaign.serial, campaign.totals = serial, KEYS[base + 17]
  campaign.today = today ~= '0' and KEYS[number * WIDTH + today]
  if more == '' then
    campaign.grants, campaign.ceilings, campaign.reader = 0, NO_CEILINGS, 0
  else
    local grants, grant, may, reader, window_s = more:match(MORE)
    campaign.grants, campaign.grant, campaign.ceilings = other(grants), grant, may
    campaign.day, campaign.reader, campaign.window_s = tonumber(day), other(reader), tonumber(window_s)
  end
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
for key, one in pairs(hashes) do
  for field, n in pairs(one.adds) do add_to(key, field, n) end
  if one.passes then redis.call('EXPIRE', key, KEEP_S) end
end
for key, quota in pairs(quotas) do write_grants(key, quota.grants, quota.changed, quota.gone, KEEP_S) end
return answers
