-- Finds patients of a slot by what begins one of their index members, and further
-- words that each must begin another. Looks at no more than the cap.
-- KEYS  1 index  2 who
-- ARGV  1 first member  2 end of the members (not included)  3 cap  4 limit
--       then what each further word's member must begin with
-- returns their ids
local found, met = {}, {}
local limit = tonumber(ARGV[4])
for _, m in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1], '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local patient = string.match(m, '([^%z]*)$')
  if not met[patient] then
    met[patient] = true
    local all = true
    if #ARGV > 4 then
      local members = cjson.decode(redis.call('HGET', KEYS[2], patient)).i
      for i = 5, #ARGV do
        local some = false
        for _, other in ipairs(members) do
          if string.sub(other, 1, #ARGV[i]) == ARGV[i] then some = true break end
        end
        all = all and some
      end
    end
    if all then
      found[#found + 1] = patient
      if #found >= limit then break end
    end
  end
end
return found
