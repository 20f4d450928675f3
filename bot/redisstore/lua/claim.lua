-- Leases one message, if it may leave now.
-- KEYS  1 messages  2 ready  3 later
-- ARGV  1 number  2 member of ready  3 now  4 until
-- returns {JSON, state} as claimed, or nil: it has gone, is leased, or waits; then it is no longer ready
local n, now = ARGV[1], tonumber(ARGV[3])
local state = redis.call('HGET', KEYS[1], n .. ':s')
redis.call('ZREM', KEYS[2], ARGV[2])
if not state then return nil end
local f = {}
for x in string.gmatch(state, '%S+') do f[#f + 1] = x end
if tonumber(f[1]) > 1 then return nil end
local again = f[7] .. ' ' .. ARGV[2]
for _, wait in ipairs({f[4], f[6]}) do
  if tonumber(wait) > now then
    redis.call('ZADD', KEYS[3], wait, again)
    return nil
  end
end
if f[1] == '1' then f[5] = '1' end -- its lease ran out: it may have gone
f[1] = '1'
f[2] = string.format('%.0f', tonumber(f[2]) + 1)
f[3] = string.format('%.0f', tonumber(f[3]) + 1)
f[4] = ARGV[4]
state = table.concat(f, ' ')
redis.call('HSET', KEYS[1], n .. ':s', state)
redis.call('ZADD', KEYS[3], ARGV[4], again)
return {redis.call('HGET', KEYS[1], n), state}
