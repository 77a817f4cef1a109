-- Asks as an SDK does that begins: for a token, then for the list, then for the document.
dofile((debug.getinfo(1, "S").source:sub(2):gsub("[^/]+$", "report.lua")))

local heads
local number = 0

request = function()
  if heads == nil then
    local list = wrk.path:gsub("[^/]+$", "")
    local asking = {
      ["Connection"] = "close",
      ["Content-Length"] = "0",
      ["User-Agent"] = wrk.headers["User-Agent"],
      ["X-aws-ec2-metadata-token-ttl-seconds"] = "21600",
    }
    heads = {
      wrk.format("PUT", "/latest/api/token", asking),
      wrk.format("GET", list),
      wrk.format("GET", wrk.path),
    }
  end
  number = number % #heads + 1
  return heads[number]
end
