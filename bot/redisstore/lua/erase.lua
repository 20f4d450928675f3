-- Removes everything of a patient from her slot, and keeps the audit entry of it.
-- KEYS  1 record  2 journal  3 rows  4 messages  5 done  6 who  7 index  8 due
--       9 queue open  10 queue claimed  11 queue snoozed  12 queue closed
--       13 unsettled  14 audit  15 counters  16 leavings  17 cards  18 unsaid  then ready, later of each channel
-- ARGV  1 patient  2 version  3 audit entry JSON  4 leavings JSON  then the channels of KEYS 19 on
-- returns 'ok', 'missing', or 'conflict'
local head = redis.call('GETRANGE', KEYS[1], 0, 31)
if head == '' then return 'missing' end
if string.match(head, '^(%d+) ') ~= ARGV[2] then return 'conflict' end
local places = {}
for i = 5, #ARGV do places[ARGV[i]] = 19 + 2 * (i - 5) end
local rows = redis.call('HGETALL', KEYS[3])
for i = 1, #rows, 2 do
  if string.sub(rows[i], -2) == ':q' then
    redis.call('ZREM', KEYS[8 + tonumber(string.sub(rows[i + 1], 1, 1))], string.sub(rows[i + 1], 3))
  end
end
local messages = redis.call('HGETALL', KEYS[4])
for i = 1, #messages, 2 do
  if string.sub(messages[i], -2) == ':s' then
    local id = ARGV[1] .. '-m' .. string.sub(messages[i], 1, -3)
    local f = {}
    for x in string.gmatch(messages[i + 1], '%S+') do f[#f + 1] = x end
    redis.call('ZREM', KEYS[13], id)
    local ready = places[f[9]]
    if ready then
      redis.call('ZREM', KEYS[ready], f[10] .. ':' .. id)
      redis.call('ZREM', KEYS[ready + 1], f[7] .. ' ' .. f[10] .. ':' .. id)
    end
  end
end
local who = redis.call('HGET', KEYS[6], ARGV[1])
if who then
  for _, m in ipairs(cjson.decode(who).i) do redis.call('ZREM', KEYS[7], m) end
  redis.call('HDEL', KEYS[6], ARGV[1])
end
redis.call('HDEL', KEYS[17], ARGV[1])
redis.call('HDEL', KEYS[18], ARGV[1])
redis.call('ZREM', KEYS[8], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[16], ARGV[1] .. '@' .. ARGV[2], ARGV[4])
local t = redis.call('TIME')
local stamp = t[1] .. string.format('%06d', tonumber(t[2]))
local seq = string.format('%.0f', math.max(tonumber(redis.call('HGET', KEYS[15], 'audit') or '0') + 1, tonumber(stamp)))
redis.call('ZADD', KEYS[14], seq, seq .. ' ' .. stamp .. ' ' .. ARGV[3])
redis.call('HSET', KEYS[15], 'audit', seq)
return 'ok'
