// The server's API: chat as a stream of parsed events, the models, the status.

export class ApiError extends Error {
    constructor(message, status, retryAfter = 0) {
        super(message);
        this.status = status; // 0: no answer came
        this.retryAfter = retryAfter;
    }
}

// What the reader is told; the server's own words follow where they help.
function explain(status, message) {
    const known = {
        401: "The server did not accept the key.",
        413: "This conversation is too large for the server.",
        429: "The server is busy. Try again in a moment.",
        503: "The server cannot take this now. Try again in a moment.",
    };
    if (status === 401) return known[401];
    if (known[status]) return message ? `${known[status]} (${message})` : known[status];
    return message || `The server answered with status ${status}.`;
}

function headers(key, more = {}) {
    return key ? { ...more, authorization: `Bearer ${key}` } : more;
}

async function request(path, options) {
    let answer;
    try {
        answer = await fetch(path, { cache: "no-store", credentials: "omit", ...options });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError("The server cannot be reached.", 0);
    }
    if (answer.ok) return answer;
    let message = "";
    try {
        message = String((await answer.json()).error.message);
    } catch {
        // no JSON, or of another shape
    }
    throw new ApiError(explain(answer.status, message), answer.status,
        Number(answer.headers.get("retry-after")) || 0);
}

async function getJson(path, key) {
    const answer = await request(path, { headers: headers(key) });
    try {
        return await answer.json();
    } catch {
        throw new ApiError("The server's answer is not readable.", answer.status);
    }
}

export async function listModels(key) {
    const list = await getJson("models", key);
    return Array.isArray(list.data) ? list.data.filter((m) => typeof m.id === "string") : [];
}

export const getStatus = (key) => getJson("status.json", key);

// The data of server-sent events, as text comes in: feed() gives the complete ones.
export class EventReader {
    rest = "";
    data = [];

    feed(text) {
        const events = [], lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
        this.rest = lines.pop();
        for (const line of lines) {
            if (line === "" && this.data.length) {
                events.push(this.data.join("\n"));
                this.data = [];
            } else if (line.startsWith("data:")) {
                this.data.push(line.slice(line[5] === " " ? 6 : 5));
            }
        }
        return events;
    }
}

// Calls onChunk(chunk) for each part of the answer. Throws ApiError, or AbortError after signal.
export async function streamChat(body, key, signal, onChunk) {
    const answer = await request("chat/completions", {
        method: "POST",
        headers: headers(key, { "content-type": "application/json" }),
        body: JSON.stringify(body),
        signal,
    });
    const reader = answer.body.getReader();
    try {
        await readChunks(reader, onChunk);
    } catch (error) {
        reader.cancel().catch(() => {}); // the server need not go on
        throw error;
    }
}

async function readChunks(reader, onChunk) {
    const decoder = new TextDecoder(), events = new EventReader();
    for (;;) {
        let part;
        try {
            part = await reader.read();
        } catch (error) {
            if (error.name === "AbortError") throw error;
            throw new ApiError("The connection to the server was lost.", 0);
        }
        const text = part.done ? decoder.decode() : decoder.decode(part.value, { stream: true });
        for (const data of events.feed(text)) {
            if (data === "[DONE]") return;
            const chunk = parseChunk(data);
            if (chunk.error) {
                throw new ApiError(explain(chunk.error.status ?? 500, chunk.error.message), 500);
            }
            onChunk(chunk);
        }
        if (part.done) throw new ApiError("The answer broke off.", 0);
    }
}

function parseChunk(data) {
    try {
        const chunk = JSON.parse(data);
        if (chunk && typeof chunk === "object") return chunk;
    } catch {
        // told below
    }
    throw new ApiError("The server's answer is not readable.", 200);
}
