-- Keeps a recipient for one message, so that nothing else leaves for it meanwhile.
-- The same message may have it again: its own lease decides whether it goes.
-- KEYS  1 held
-- ARGV  1 recipient  2 message  3 now  4 until
-- returns 1: held, 2: the same message had it already, 0: another message has it
local has, again = redis.call('HGET', KEYS[1], ARGV[1]), 1
if has then
  local till, message = string.match(has, '^(%d+) (.*)$')
  if tonumber(till) > tonumber(ARGV[3]) then
    if message ~= ARGV[2] then return 0 end
    again = 2
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4] .. ' ' .. ARGV[2])
return again
