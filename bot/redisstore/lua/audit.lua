-- Appends audit entries to a slot, from where they are gathered.
-- KEYS  1 audit  2 counters
-- ARGV  JSON each
-- returns how many
local t = redis.call('TIME')
local stamp = t[1] .. string.format('%06d', tonumber(t[2]))
for _, entry in ipairs(ARGV) do
  local seq = string.format('%.0f', redis.call('HINCRBY', KEYS[2], 'audit', 1))
  redis.call('ZADD', KEYS[1], seq, seq .. ' ' .. stamp .. ' ' .. entry)
end
return #ARGV
