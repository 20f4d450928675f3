-- Keeps a value in the place of the one that the caller has read.
-- KEYS  1 values  2 expires  3 drawers
-- ARGV  1 key  2 name among expires  3 when it expires, 0: never  4 value  5 drawer
--       6 the one that is there as it is kept, '': none is
-- returns 1: kept, 0: another is there
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[6] then return 0 end
redis.call('SADD', KEYS[3], ARGV[5])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. '\n' .. ARGV[4])
if ARGV[3] == '0' then redis.call('ZREM', KEYS[2], ARGV[2]) else redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2]) end
return 1
