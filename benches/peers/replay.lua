-- A wrk script: sends prepared requests, one after the other, and says what became of them as one line of JSON.
--
-- TOKENS  a file with a token on each line; without it no request has one
-- COUNT   how many of them, from the first; all of them unless given
-- ONCE    "1": each is sent once, and then nothing more; otherwise they are sent in a cycle
-- BROKEN  "1": with signatures that verify no longer
-- PATHS   how many routes the paths are spread over; one path unless given
-- PAUSE   the longest wait of a connection before a request, in milliseconds; none unless given

local tokens, once, broken = os.getenv("TOKENS"), os.getenv("ONCE") == "1", os.getenv("BROKEN") == "1"
local count, paths = tonumber(os.getenv("COUNT")) or math.huge, tonumber(os.getenv("PATHS")) or 0
local pause = tonumber(os.getenv("PAUSE")) or 0
local requests, sent = {}, 0

-- One letter well within the signature becomes another one, so that it is as long and as well-formed as before.
local function with_broken_signature(token)
   local at = token:find("%.[^.]*$") + 21
   local other = token:sub(at, at) == "A" and "B" or "A"
   return token:sub(1, at - 1) .. other .. token:sub(at + 1)
end

local function request_with(token, path)
   local authorization = token and "Authorization: Bearer " .. token .. "\r\n" or ""
   return "GET " .. path .. " HTTP/1.1\r\nHost: api.test\r\nUser-Agent: wrk\r\nAccept: */*\r\n" .. authorization .. "\r\n"
end

local function path_of(number)
   return paths == 0 and "/orders/123" or "/service" .. number % paths .. "/orders/123"
end

function init()
   local found = {}
   if tokens then
      for token in io.lines(tokens) do
         if #found == count then break end
         found[#found + 1] = broken and with_broken_signature(token) or token
      end
   end
   for number = 1, math.max(#found, paths, 1) do
      local token = #found > 0 and found[(number - 1) % #found + 1] or nil
      requests[number] = request_with(token, path_of(number))
   end
   -- What is left is needed until the end: collecting would only take time from the load.
   collectgarbage()
   collectgarbage("stop")
   io.stderr:write("ready\n")
end

function request()
   sent = sent + 1
   if sent > #requests then
      if once then wrk.thread:stop() end
      sent = 1
   end
   return requests[sent]
end

if pause > 0 then
   function delay()
      return math.random(0, pause)
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"bytes":%d,"refused":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\n',
      summary.requests, summary.duration, summary.bytes, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
