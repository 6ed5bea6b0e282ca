-- Hands out parts of what campaigns may still have; the rule is that of core/grants.py.
-- KEYS 1 totals of the tag; then for each line the grants and the day of its campaign.
-- ARGV 1 now (epoch s); 2 seconds to keep grants; 3 a line a campaign: serial, day, grant, asked, ceiling in all and of the
--      day, plan, close (epoch s), workers, and what is given back: "GRANT=ISSUED,..."; "-" stands for none.
-- Returns a line a campaign: size of the grant, impressions in all and of the day, open in all and of the day, issued and
--      confirmed of closed grants, clicks in all and of the day; "failed" when a key holds something else.
local ENOUGH = 20
local now = tonumber(ARGV[1])

local function number(text) return tonumber(text) or 0 end
local function ceil(a, b) return math.ceil(a / b) end

local function take(at, serial, day, name, asked, total, daily, plan, close, workers, back)
  local grants_key, day_key = KEYS[at * 2], KEYS[at * 2 + 1]
  local counted = redis.call('HMGET', KEYS[1], serial .. '.i', serial .. '.c')
  local of_day = redis.call('HMGET', day_key, serial .. '.i', serial .. '.c')
  local spent, today = number(counted[1]), number(of_day[1])
  local grants, changed, gone = read_grants(redis.call('HGETALL', grants_key)), {}, {}

  local function close_it(id)
    local one = grants.open[id]
    grants.issued, grants.confirmed = grants.issued + one.size, grants.confirmed + one.used
    grants.open[id] = nil
    changed[id] = nil
    gone[#gone + 1] = id
  end

  for id, one in pairs(grants.open) do
    if one.close <= now then close_it(id) end
  end
  for id, issued in back:gmatch('([^=,]+)=(%d+)') do
    local one = grants.open[id]
    if one then
      one.size = math.max(one.used, math.min(one.size, tonumber(issued)))
      changed[id] = one
      if one.size == one.used then close_it(id) end
    end
  end

  local out, out_today, holders, count = 0, 0, {}, 0
  for id, one in pairs(grants.open) do
    out = out + one.size - one.used
    if one.day == tonumber(day) then out_today = out_today + one.size - one.used end
    local holder = id:match('^[^:]*')
    if not holders[holder] then holders[holder] = true; count = count + 1 end
  end

  local size = 0
  if name ~= '-' and grants.open[name] then
    size = grants.open[name].size
  elseif name ~= '-' then
    if not holders[name:match('^[^:]*')] then count = count + 1 end
    local sharing = math.max(tonumber(workers), count)
    size = tonumber(asked)
    if total ~= '-' then size = math.min(size, ceil(tonumber(total) - spent - out, 2 * sharing)) end
    if daily ~= '-' then size = math.min(size, ceil(tonumber(daily) - today - out_today, 2 * sharing)) end
    if plan ~= '-' then
      local likely = out_today
      if grants.issued >= ENOUGH then likely = ceil(out_today * grants.confirmed, grants.issued) end
      size = math.min(size, ceil(tonumber(plan) - today - likely, sharing))
    end
    size = math.max(0, size)
    if size > 0 then
      changed[name] = { size = size, used = 0, close = tonumber(close), day = tonumber(day) }
      out, out_today = out + size, out_today + size
    end
  end
  write_grants(grants_key, grants, changed, gone, tonumber(ARGV[2]))
  return string.format('%d %d %d %d %d %d %d %d %d', size, spent, today, out, out_today, grants.issued, grants.confirmed,
    number(counted[2]), number(of_day[2]))
end

local answers, at = {}, 0
local LINE = '(%d+) (%-?%d+) (%S+) (%d+) (%S+) (%S+) (%S+) (%d+) (%d+) (%S+)\n'
for serial, day, name, asked, total, daily, plan, close, workers, back in ARGV[3]:gmatch(LINE) do
  at = at + 1
  local done, answer = pcall(take, at, serial, day, name, asked, total, daily, plan, close, workers, back)
  if not done then
    local text = type(answer) == 'table' and answer['err'] or tostring(answer)
    if not text:find('WRONGTYPE', 1, true) then return redis.error_reply(text) end
    answer = 'failed'
  end
  answers[at] = answer
end
return answers
