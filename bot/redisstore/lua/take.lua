-- Reads and removes a value in one step.
-- KEYS  1 values  2 expires
-- ARGV  1 key  2 name among expires
-- returns the value as it is kept, or nil
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return nil end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return value
