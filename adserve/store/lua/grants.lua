-- What scripts that hand out and use grants share; it stands before them.

-- The grants of a campaign, of the fields of their hash: each "SIZE USED CLOSE DAY" by its name; and the sums of closed ones.
local function read_grants(fields)
  local found = { open = {}, issued = 0, confirmed = 0 }
  for at = 1, #fields, 2 do
    local name, text = fields[at], fields[at + 1]
    if name == 'issued' or name == 'confirmed' then
      found[name] = tonumber(text) or 0
    else
      local size, used, close, day = text:match('^(%d+) (%d+) (%d+) (%-?%d+)$')
      if size then
        found.open[name] = { size = tonumber(size), used = tonumber(used), close = tonumber(close), day = tonumber(day) }
      end
    end
  end
  return found
end

-- Writes what became of them: those changed, those gone, and the sums; kept for so many seconds.
local function write_grants(key, grants, changed, gone, keep_s)
  if #gone > 0 then
    redis.call('HDEL', key, unpack(gone))
    redis.call('HSET', key, 'issued', grants.issued, 'confirmed', grants.confirmed)
  end
  local written = #gone > 0
  for name, one in pairs(changed) do
    redis.call('HSET', key, name, string.format('%d %d %d %d', one.size, one.used, one.close, one.day))
    written = true
  end
  if written then redis.call('EXPIRE', key, keep_s) end
end
