-- Reads keys of any type, all at one moment.
-- KEYS of one hash tag. ARGV 1 largest string (bytes) and 2 largest other key (items) that is read whole; 0 any.
-- Returns for each key false when it is not there, else: type; when it expires (epoch s, 0 never); its value (the
--      string; elements or members; fields and values, or members and scores, in turn), or false when it is too large,
--      a stream, or of an unknown type; the last id that a stream gave, else ''.
local sizes = { string = 'STRLEN', hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD' }
local limits = { string = tonumber(ARGV[1]) }
local others = tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function value(kind, key)
  if kind == 'string' then return redis.call('GET', key) end
  if kind == 'hash' then return redis.call('HGETALL', key) end
  if kind == 'list' then return redis.call('LRANGE', key, 0, -1) end
  if kind == 'set' then return redis.call('SMEMBERS', key) end
  return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
end

local found = {}
for at, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'none' then
    found[at] = false
  else
    -- to the nearest second: the hundredths that the clock went on do not move an expiry set in seconds
    local left = redis.call('PTTL', key)
    local expires = left >= 0 and math.floor((now_ms + left + 500) / 1000) or 0
    local content, newest = false, ''
    if sizes[kind] then
      local limit = limits[kind] or others
      if limit == 0 or redis.call(sizes[kind], key) <= limit then content = value(kind, key) end
    elseif kind == 'stream' then
      local info = redis.call('XINFO', 'STREAM', key)
      for n = 1, #info, 2 do
        if info[n] == 'last-generated-id' then newest = info[n + 1] end
      end
    end
    found[at] = { kind, expires, content, newest }
  end
end
return found
