-- Removes values of one drawer that have expired.
-- KEYS  1 values  2 expires
-- ARGV  1 now  then key, name among expires of each
-- returns how many were removed
local n = 0
for i = 2, #ARGV, 2 do
  local till = redis.call('ZSCORE', KEYS[2], ARGV[i + 1])
  if till and tonumber(till) <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i + 1])
    n = n + 1
  end
end
return n
