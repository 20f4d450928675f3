-- Leases one message, if it may leave now.
-- KEYS  1 messages  2 ready  3 later  4 held, where one server has all slots: its recipient is held here too
-- ARGV  1 number  2 member of ready  3 now  4 until  5 recipient  6 id
-- returns {JSON, state} as claimed, nil: it has gone, is leased, or waits; then it is no longer ready,
--       or {'held'}: another message is on its way to the recipient
local call, n, now = redis.call, ARGV[1], tonumber(ARGV[3])
if KEYS[4] then
  local has = call('HGET', KEYS[4], ARGV[5])
  if has then
    local till, message = string.match(has, '^(%d+) (.*)$')
    if message ~= ARGV[6] and tonumber(till) > now then return {'held'} end
  end
end
local state = call('HGET', KEYS[1], n .. ':s')
call('ZREM', KEYS[2], ARGV[2])
if not state then return nil end
local f = {}
for x in string.gmatch(state, '%S+') do f[#f + 1] = x end
if tonumber(f[1]) > 1 then return nil end
local again = f[7] .. ' ' .. ARGV[2]
for _, wait in ipairs({f[4], f[6]}) do
  if tonumber(wait) > now then
    call('ZADD', KEYS[3], wait, again)
    return nil
  end
end
if f[1] == '1' then f[5] = '1' end -- its lease ran out: it may have gone
f[1] = '1'
f[2] = string.format('%.0f', tonumber(f[2]) + 1)
f[3] = string.format('%.0f', tonumber(f[3]) + 1)
f[4] = ARGV[4]
state = table.concat(f, ' ')
call('HSET', KEYS[1], n .. ':s', state)
call('ZADD', KEYS[3], ARGV[4], again)
if KEYS[4] then call('HSET', KEYS[4], ARGV[5], ARGV[4] .. ' ' .. ARGV[6]) end
return {call('HGET', KEYS[1], n), state}
