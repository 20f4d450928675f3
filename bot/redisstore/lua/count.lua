-- Counts what stands open in a slot.
-- KEYS  1 who  2 due  3 unsettled  then queue open, claimed, snoozed of each service
-- ARGV  1 now  2 2^43, the width of a level in the scores of the queue
-- returns {patients, wakes due, earliest wake or 0, messages, earliest that may leave by now or 0,
--       earliest due time of an open or claimed row or 0,
--       then of each service and state the rows of levels 0 to 4}
local band = tonumber(ARGV[2])
local function first(key, from, to)
  local x = redis.call('ZRANGEBYSCORE', key, from, to, 'WITHSCORES', 'LIMIT', 0, 1)
  return x[2] and tonumber(x[2]) or 0
end
local out = {redis.call('HLEN', KEYS[1]), redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[1]), first(KEYS[2], '-inf', '+inf'),
  redis.call('ZCARD', KEYS[3]), first(KEYS[3], '-inf', ARGV[1]), 0}
for k = 4, #KEYS do
  local any = redis.call('ZCARD', KEYS[k]) > 0
  for level = 0, 4 do
    local n = 0
    if any then
      local from, to = string.format('%.0f', (4 - level) * band), string.format('(%.0f', (5 - level) * band)
      n = redis.call('ZCOUNT', KEYS[k], from, to)
      if n > 0 and (k - 4) % 3 < 2 then
        local due = first(KEYS[k], from, to) - (4 - level) * band
        if out[6] == 0 or due < out[6] then out[6] = due end
      end
    end
    out[#out + 1] = n
  end
end
return out
