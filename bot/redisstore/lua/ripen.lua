-- Puts messages whose time has come among those that may leave.
-- KEYS  1 ready  2 later
-- ARGV  1 now  2 how many at most
-- returns how many
local ripe = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, m in ipairs(ripe) do
  local order, member = string.match(m, '^(%d+) (.*)$')
  redis.call('ZADD', KEYS[1], order, member)
  redis.call('ZREM', KEYS[2], m)
end
return #ripe
