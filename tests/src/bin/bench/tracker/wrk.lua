-- Posts signed receipts, each once, and from the beginning again when there are no more. A line: id, time, signature, body.
local requests, next_one = {}, 0

function init(arguments)
    for line in io.lines(arguments[1]) do
        local id, time, signature, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
        requests[#requests + 1] = wrk.format("POST", nil, {
            ["content-type"] = "application/json",
            ["webhook-id"] = id,
            ["webhook-timestamp"] = time,
            ["webhook-signature"] = signature,
        }, body)
    end
end

function request()
    next_one = next_one % #requests + 1
    return requests[next_one]
end
