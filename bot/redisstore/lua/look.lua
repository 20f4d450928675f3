-- Puts messages whose time has come among those that may leave, in every slot, and
-- gives the first of each. For where one server has all slots.
-- KEYS  ready of each slot, then later of each slot
-- ARGV  1 now  2 how many come of age in a slot at most  3 how many of each slot
-- returns {1: some slot has more that have come of age, else 0; then slot, member, score of each}
local call, out, slots, group = redis.call, {0}, #KEYS / 2, 8
-- Most slots are empty: so many are asked for at once whether they are there.
for g = slots + 1, 2 * slots, group do
  if call('EXISTS', unpack(KEYS, g, g + group - 1)) > 0 then
    for k = g, g + group - 1 do
      local ripe = call('ZRANGEBYSCORE', KEYS[k], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
      for _, m in ipairs(ripe) do
        local order, member = string.match(m, '^(%d+) (.*)$')
        call('ZADD', KEYS[k - slots], order, member)
        call('ZREM', KEYS[k], m)
      end
      if #ripe == tonumber(ARGV[2]) then out[1] = 1 end
    end
  end
end
local last = tonumber(ARGV[3]) - 1
for g = 1, slots, group do
  if call('EXISTS', unpack(KEYS, g, g + group - 1)) > 0 then
    for k = g, g + group - 1 do
      local first = call('ZRANGE', KEYS[k], 0, last, 'WITHSCORES')
      for i = 1, #first, 2 do
        local n = #out
        out[n + 1], out[n + 2], out[n + 3] = k - 1, first[i], first[i + 1]
      end
    end
  end
end
return out
