-- Asks what no request before it has asked, byte for byte: its query counts.
dofile((debug.getinfo(1, "S").source:sub(2):gsub("[^/]+$", "report.lua")))

local before, after
local number = 0

request = function()
  if before == nil then
    local whole = wrk.format(nil, wrk.path .. "?n=@")
    local at = whole:find("@", 1, true)
    before, after = whole:sub(1, at - 1), whole:sub(at + 1)
  end
  number = number + 1
  return before .. number .. after
end
