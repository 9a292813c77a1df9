// What the user has set: kept in this browser, but for the key, which a tab forgets unless asked.

const SETTINGS = "tenon.settings", KEY = "tenon.key";

export const DEFAULTS = { thinking: true, effort: "", system: "", temperature: null, top_p: null,
    max_tokens: null, seed: null, tools: "", theme: "system", open_thinking: false, model: "" };

// Storage may be forbidden: then settings last as long as the page.
function attempt(action) {
    try {
        return action();
    } catch {
        return null;
    }
}

export function loadSettings() {
    const stored = attempt(() => JSON.parse(localStorage.getItem(SETTINGS))) ?? {};
    const settings = { ...DEFAULTS };
    for (const name of Object.keys(DEFAULTS)) {
        const text = stored[name], field = FIELDS[name];
        if (text !== undefined && (field ? checkField(name, text === null ? "" : String(text)).ok
            : typeof text === typeof DEFAULTS[name])) {
            settings[name] = text;
        }
    }
    return settings;
}

export function saveSettings(settings) {
    attempt(() => localStorage.setItem(SETTINGS, JSON.stringify(settings)));
}

export function loadKey() {
    const remembered = attempt(() => localStorage.getItem(KEY));
    return { key: remembered ?? attempt(() => sessionStorage.getItem(KEY)) ?? "",
        remember: remembered !== null };
}

export function saveKey(key, remember) {
    attempt(() => localStorage.removeItem(KEY));
    attempt(() => sessionStorage.removeItem(KEY));
    if (key) attempt(() => (remember ? localStorage : sessionStorage).setItem(KEY, key));
}

// ---- fields with rules ----

const FIELDS = {
    temperature: { read: Number, fits: (x) => x >= 0 && x <= 2, wants: "a number from 0 to 2" },
    top_p: { read: Number, fits: (x) => x > 0 && x <= 1, wants: "a number above 0, at most 1" },
    max_tokens: { read: Number, fits: (x) => Number.isInteger(x) && x >= 1 && x < 2 ** 31,
        wants: "a whole number from 1" },
    seed: { read: Number, fits: (x) => Number.isSafeInteger(x) && x >= 0,
        wants: "a whole number from 0" },
};

// {ok, value, wants}; an empty text means the server's default, null.
export function checkField(name, text) {
    if (name === "tools") return checkTools(text);
    const field = FIELDS[name];
    if (!field) return { ok: true, value: text };
    if (text.trim() === "") return { ok: true, value: null };
    const value = field.read(text.trim());
    return { ok: field.fits(value), value, wants: field.wants };
}

function checkTools(text) {
    const wants = "a JSON list of functions";
    if (text.trim() === "") return { ok: true, value: "" };
    const list = attempt(() => JSON.parse(text));
    const good = Array.isArray(list) && list.every((tool) => tool?.function?.name);
    return { ok: good, value: text, wants };
}

// ---- a request ----

// The messages of the API from those of a branch. Thinking goes back only where tools were called.
function apiMessages(settings, path) {
    const messages = settings.system.trim() ? [{ role: "system", content: settings.system }] : [];
    for (const node of path) {
        const calls = node.calls ?? [];
        if (node.role === "tool") {
            messages.push({ role: "tool", tool_call_id: node.call_id, content: node.content });
        } else if (node.role === "user") {
            messages.push({ role: "user", content: node.content });
        } else if (node.content || calls.length) {
            const message = { role: "assistant", content: node.content };
            if (calls.length) {
                message.reasoning_content = node.reasoning ?? "";
                message.tool_calls = calls.map((call) => ({ id: call.id, type: "function",
                    function: { name: call.name, arguments: call.arguments } }));
            }
            messages.push(message);
        }
    }
    return messages;
}

export function requestBody(settings, model, path) {
    const body = { model, messages: apiMessages(settings, path), stream: true,
        stream_options: { include_usage: true },
        thinking: { type: settings.thinking ? "enabled" : "disabled" } };
    if (settings.thinking && settings.effort) body.reasoning_effort = settings.effort;
    for (const name of ["temperature", "top_p", "max_tokens", "seed"])
        if (settings[name] !== null) body[name] = settings[name];
    if (settings.tools.trim()) body.tools = JSON.parse(settings.tools);
    return body;
}
