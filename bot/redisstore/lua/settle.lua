-- Records what became of a message. A claim's word counts while the claim is the
-- last; a receipt's (fence 0) only moves the state forward.
-- KEYS  1 messages  2 ready  3 later  4 unsettled
--       5 held  6 where the carrier's id is looked up, both where one server has all slots
-- ARGV  1 number  2 id  3 fence or 0  4 state  5 carrier's id or ''  6 code or ''  7 at
--       8 when to try again  9 1: the outcome of the send is unknown  10 recipient
-- returns 1: recorded, 0: dropped
local n, id, new = ARGV[1], ARGV[2], tonumber(ARGV[4])
local state = redis.call('HGET', KEYS[1], n .. ':s')
if not state then return 0 end
if KEYS[6] and ARGV[5] ~= '' then redis.call('HSET', KEYS[6], ARGV[5], id) end
local f = {}
for x in string.gmatch(state, '%S+') do f[#f + 1] = x end
local is = tonumber(f[1])
local carrier = redis.call('HGET', KEYS[1], n .. ':c')
if ARGV[3] == '0' then
  if not (is < 2 or (is == 2 and new > 2)) then return 0 end
  if ARGV[5] ~= '' and not carrier then redis.call('HSET', KEYS[1], n .. ':c', ARGV[5]) end
  f[5] = '0'
elseif f[2] ~= ARGV[3] or is ~= 1 then
  -- A receipt was faster than the carrier's answer to us: keep the id at least.
  if f[2] == ARGV[3] and not carrier and ARGV[5] ~= '' then redis.call('HSET', KEYS[1], n .. ':c', ARGV[5]) end
  return 0
else
  if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], n .. ':c', ARGV[5]) end
  f[5] = ARGV[9]
end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], n .. ':e', ARGV[6]) end
f[1], f[4], f[8] = ARGV[4], '0', ARGV[7]
local member = f[10] .. ':' .. id
local again = f[7] .. ' ' .. member
if new == 0 then
  f[6] = ARGV[8]
  redis.call('ZADD', KEYS[3], ARGV[8], again)
  redis.call('ZADD', KEYS[4], 'GT', ARGV[8], id)
else
  redis.call('ZREM', KEYS[2], member)
  redis.call('ZREM', KEYS[3], again)
  redis.call('ZREM', KEYS[4], id)
end
redis.call('HSET', KEYS[1], n .. ':s', table.concat(f, ' '))
if KEYS[5] then -- its recipient is free for the next
  local has = redis.call('HGET', KEYS[5], ARGV[10])
  if has and string.match(has, '^%d+ (.*)$') == id then redis.call('HDEL', KEYS[5], ARGV[10]) end
end
return 1
