-- Appends audit entries to a slot, from where they are gathered.
-- KEYS  1 audit  2 counters
-- ARGV  JSON each
-- returns how many
local t = redis.call('TIME')
local stamp = t[1] .. string.format('%06d', tonumber(t[2]))
local last = math.max(tonumber(redis.call('HGET', KEYS[2], 'audit') or '0'), tonumber(stamp) - 1)
for _, entry in ipairs(ARGV) do
  last = last + 1
  local seq = string.format('%.0f', last)
  redis.call('ZADD', KEYS[1], seq, seq .. ' ' .. stamp .. ' ' .. entry)
end
redis.call('HSET', KEYS[2], 'audit', string.format('%.0f', last))
return #ARGV
