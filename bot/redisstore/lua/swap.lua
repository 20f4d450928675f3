-- Replaces a field of a hash if it is what the caller takes it for.
-- KEYS  1 a hash
-- ARGV  1 field  2 its value as the caller knows it  3 the new value, '': remove it
-- returns 1: replaced, 0: it is another
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
