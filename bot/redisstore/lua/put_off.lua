-- Gives back the claim of a message that could not be opened: it was not tried. Among those
-- that may leave later it stands since it was claimed, from the end of the lease on.
-- KEYS  1 messages  2 unsettled  3 held, where one server has all slots
-- ARGV  1 number  2 id  3 fence  4 the end of the lease  5 recipient
-- returns 1: given back, 0: another has claimed it since, or it was settled
local n, id = ARGV[1], ARGV[2]
local state = redis.call('HGET', KEYS[1], n .. ':s')
if not state then return 0 end
local f = {}
for x in string.gmatch(state, '%S+') do f[#f + 1] = x end
if f[1] ~= '1' or f[2] ~= ARGV[3] then return 0 end
f[1], f[3], f[4], f[6] = '0', string.format('%.0f', tonumber(f[3]) - 1), '0', ARGV[4]
redis.call('HSET', KEYS[1], n .. ':s', table.concat(f, ' '))
redis.call('ZADD', KEYS[2], 'GT', ARGV[4], id)
if KEYS[3] then -- its recipient is free for the next
  local has = redis.call('HGET', KEYS[3], ARGV[5])
  if has and string.match(has, '^%d+ (.*)$') == id then redis.call('HDEL', KEYS[3], ARGV[5]) end
end
return 1
