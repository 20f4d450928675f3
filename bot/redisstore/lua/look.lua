-- Puts messages whose time has come among those that may leave, in every slot, and
-- gives the first of each. For where one server has all slots.
-- KEYS  ready, later of each slot
-- ARGV  1 now  2 how many come of age in a slot at most  3 how many of each slot
-- returns {1: some slot has more that have come of age, else 0; then slot, member, score of each}
local call, out = redis.call, {0}
for k = 1, #KEYS, 2 do
  local ripe = call('ZRANGEBYSCORE', KEYS[k + 1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
  for _, m in ipairs(ripe) do
    local order, member = string.match(m, '^(%d+) (.*)$')
    call('ZADD', KEYS[k], order, member)
    call('ZREM', KEYS[k + 1], m)
  end
  if #ripe == tonumber(ARGV[2]) then out[1] = 1 end
  local first = call('ZRANGE', KEYS[k], 0, tonumber(ARGV[3]) - 1, 'WITHSCORES')
  for i = 1, #first, 2 do
    local n = #out
    out[n + 1], out[n + 2], out[n + 3] = (k - 1) / 2, first[i], first[i + 1]
  end
end
return out
