// Conversations: what one is, and where they are kept (IndexedDB of this browser, at most MAX_KEPT).
//
// A conversation is a tree of messages, so that nothing is lost when a message is edited or an answer
// drawn again: the new one is a sibling of the old. `head` is the last message of the branch shown.
//
//     {id, title, named, created, updated, head, nodes: {id: node}}
//     node: {id, parent, role, content, created}, of an assistant also
//           {reasoning, calls: [{id, name, arguments}], finish, usage, thought_ms, draw_ms, error: {message,
//           status}}, of a tool also {call_id}

export const MAX_KEPT = 200;

export function newId() {
    const random = crypto.getRandomValues(new Uint8Array(12));
    return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- one conversation ----

export function newConversation() {
    const now = Date.now();
    return { id: newId(), title: "", named: false, created: now, updated: now, head: null, nodes: {} };
}

// Adds a message behind `parent`, and shows its branch.
export function addNode(conversation, parent, fields) {
    const node = { id: newId(), parent, content: "", created: Date.now(), ...fields };
    conversation.nodes[node.id] = node;
    conversation.head = node.id;
    conversation.updated = Date.now();
    if (!conversation.named && !conversation.title && node.role === "user") {
        conversation.title = titleFrom(node.content);
    }
    return node;
}

export function titleFrom(text) {
    const line = text.trim().replace(/\s+/g, " ");
    return line.length > 60 ? `${line.slice(0, 58).trimEnd()}\u2026` : line;
}

// The messages shown, first to last.
export function pathOf(conversation) {
    const path = [];
    let id = conversation.head;
    while (id !== null) {
        const node = conversation.nodes[id];
        path.unshift(node);
        id = node.parent;
    }
    return path;
}

// The versions of a message, oldest first.
export function siblingsOf(conversation, node) {
    return Object.values(conversation.nodes)
        .filter((other) => other.parent === node.parent && other.role === node.role)
        .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

// Shows the branch of this message: to its newest end.
export function showBranch(conversation, node) {
    for (;;) {
        const children = Object.values(conversation.nodes).filter((n) => n.parent === node.id);
        if (!children.length) break;
        node = children.reduce((a, b) => (b.created >= a.created ? b : a));
    }
    conversation.head = node.id;
}

export function removeNode(conversation, node) {
    for (const child of Object.values(conversation.nodes))
        if (child.parent === node.id) removeNode(conversation, child);
    delete conversation.nodes[node.id];
    if (!conversation.nodes[conversation.head]) conversation.head = node.parent;
}

// ---- files ----

const FORMAT = "tenon-conversations";

export function exportText(conversations) {
    return JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 1);
}

const ROLES = ["user", "assistant", "tool"];
const isText = (x) => typeof x === "string";
const numberOr = (x, other) => (Number.isFinite(x) ? x : other);

function cleanNode(x, ids) {
    if (!x || typeof x !== "object" || !ROLES.includes(x.role) || !isText(x.content)) {
        throw new Error("a message is malformed");
    }
    const node = { id: ids.get(x.id), parent: x.parent === null ? null : ids.get(x.parent),
        role: x.role, content: x.content, created: numberOr(x.created, 0) };
    if (node.parent === undefined) throw new Error("a message has lost its place");
    if (isText(x.reasoning)) node.reasoning = x.reasoning;
    if (isText(x.finish)) node.finish = x.finish;
    if (isText(x.call_id)) node.call_id = x.call_id;
    for (const field of ["thought_ms", "draw_ms"])
        if (Number.isFinite(x[field])) node[field] = x[field];
    if (Array.isArray(x.calls)) {
        node.calls = x.calls.map((call) => ({ id: String(call?.id ?? ""),
            name: String(call?.name ?? ""), arguments: String(call?.arguments ?? "") }));
    }
    if (x.usage && typeof x.usage === "object") {
        node.usage = Object.fromEntries(["prompt_tokens", "completion_tokens", "prompt_cache_hit_tokens"]
            .map((name) => [name, numberOr(x.usage[name], 0)]));
    }
    if (x.error && isText(x.error.message)) {
        node.error = { message: x.error.message, status: numberOr(x.error.status, 0) };
    }
    return node;
}

function cleanConversation(x) {
    if (!x || typeof x !== "object" || !x.nodes || typeof x.nodes !== "object") {
        throw new Error("a conversation is malformed");
    }
    const made = newConversation(), list = Object.values(x.nodes);
    const ids = new Map(list.map((node) => [node?.id, newId()]));
    for (const node of list) {
        const clean = cleanNode(node, ids);
        made.nodes[clean.id] = clean;
    }
    made.head = x.head === null ? null : ids.get(x.head);
    if (made.head === undefined) throw new Error("a conversation has no end");
    for (const node of Object.values(made.nodes)) checkAcyclic(made, node);
    made.title = isText(x.title) ? x.title.slice(0, 200) : "";
    made.named = x.named === true;
    made.created = numberOr(x.created, made.created);
    made.updated = numberOr(x.updated, made.updated);
    return made;
}

function checkAcyclic(conversation, node) {
    let steps = Object.keys(conversation.nodes).length;
    for (let at = node; at.parent !== null; at = conversation.nodes[at.parent])
        if (steps-- < 0) throw new Error("messages follow each other in a circle");
}

// The conversations of an exported text, with new ids. Throws when it is not one.
export function importText(text) {
    let file;
    try {
        file = JSON.parse(text);
    } catch {
        throw new Error("it is not JSON");
    }
    if (file?.format !== FORMAT || file.version !== 1 || !Array.isArray(file.conversations)) {
        throw new Error("it holds no conversations of this page");
    }
    return file.conversations.map(cleanConversation);
}

// ---- all ----

const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
});

export class Store {
    conversations = new Map(); // by id
    database = null; // null: nothing outlives this page
    channel = new BroadcastChannel("tenon");
    onchange = null; // called with the id of what another tab has changed

    static async open() {
        const store = new Store();
        try {
            const request = indexedDB.open("tenon", 1);
            request.onupgradeneeded = () =>
                request.result.createObjectStore("conversations", { keyPath: "id" });
            store.database = await done(request);
            for (const conversation of await done(store.transact("readonly").getAll()))
                store.conversations.set(conversation.id, conversation);
            store.channel.onmessage = (event) => store.follow(event.data);
        } catch {
            store.database = null;
        }
        return store;
    }

    async follow(id) {
        const conversation = await done(this.transact("readonly").get(id));
        if (conversation) this.conversations.set(id, conversation);
        else this.conversations.delete(id);
        this.onchange?.(id);
    }

    tell(id) {
        if (this.database) this.channel.postMessage(id);
    }

    transact(mode) {
        return this.database.transaction("conversations", mode).objectStore("conversations");
    }

    // Newest first.
    list() {
        return [...this.conversations.values()].sort((a, b) => b.updated - a.updated);
    }

    // Keeps it. Gives the conversations that had to go for it: the oldest beyond MAX_KEPT.
    async put(conversation) {
        this.conversations.set(conversation.id, conversation);
        if (this.database) await done(this.transact("readwrite").put(conversation));
        this.tell(conversation.id);
        const extra = this.list().slice(MAX_KEPT);
        for (const old of extra) await this.remove(old.id);
        return extra;
    }

    async remove(id) {
        this.conversations.delete(id);
        if (this.database) await done(this.transact("readwrite").delete(id));
        this.tell(id);
    }
}
