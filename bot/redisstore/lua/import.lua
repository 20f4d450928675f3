-- Writes everything of a patient who is not there yet, as her slot shall hold it.
-- KEYS  1 record, then all that is written
-- ARGV  of each command: its name, the place of its key in KEYS, how many
--       arguments follow, and those
-- returns 1: written, 0: she is there already
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local i = 1
while i <= #ARGV do
  local n = tonumber(ARGV[i + 2])
  redis.call(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 3, i + 2 + n))
  i = i + 3 + n
end
return 1
