-- Gives a recipient back, if the message has it.
-- KEYS  1 held
-- ARGV  1 recipient  2 message
-- returns how many were given back
local has = redis.call('HGET', KEYS[1], ARGV[1])
if not has or string.match(has, '^%d+ (.*)$') ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
