// The messages of the conversation shown: their nodes, and what can be done with each.
import { announce, byId, copyButton, el, icon, iconButton, number } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { pathOf, siblingsOf } from "./store.js";

const seconds = (ms) => (ms < 950 ? "under a second" : `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`);

function pretty(text) {
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}

// ---- parts of an answer ----

class Thinking {
    constructor(open) {
        this.text = el("div", { class: "thought" });
        this.label = el("span");
        this.element = el("details", { class: "thinking", open },
            el("summary", {}, icon("right"), this.label), this.text);
        this.shown = "";
    }

    update(node, running) {
        const text = node.reasoning ?? "", thinks = running && !node.content && !node.calls?.length;
        this.element.hidden = !text.trim() && !(thinks && node.reasoning !== undefined);
        this.element.classList.toggle("live", thinks);
        const took = node.thought_ms === undefined ? "" : ` for ${seconds(node.thought_ms)}`;
        this.label.textContent = thinks ? "Thinking" : `Thought${took}`;
        if (text.startsWith(this.shown)) this.text.append(text.slice(this.shown.length));
        else this.text.textContent = text;
        this.shown = text;
    }
}

// What an assistant called, and the field for the result.
function callCard(call, result, onresult) {
    const card = el("div", { class: "call", role: "group", "aria-label": `Tool call ${call.name}` },
        el("div", { class: "code-head" }, icon("tool"), el("span", { class: "call-name" }, call.name),
            copyButton("Copy arguments", () => pretty(call.arguments))),
        el("pre", { tabindex: "0", role: "region", "aria-label": "Arguments" },
            el("code", {}, pretty(call.arguments))));
    if (onresult) {
        const box = el("textarea", { rows: "2", class: "mono", placeholder: "Result",
            "aria-label": `Result of ${call.name}` });
        box.addEventListener("input", () => onresult(call.id, box.value));
        card.append(box);
    } else if (result !== undefined) {
        card.append(el("pre", { class: "result", tabindex: "0", role: "region",
            "aria-label": "Result" }, el("code", {}, result)));
    }
    return card;
}

function errorCard(error, actions) {
    const buttons = error.status === 401
        ? [el("button", { type: "button", class: "plain", onclick: actions.key }, "Enter a key")] : [];
    buttons.push(el("button", { type: "button", class: "plain", onclick: actions.again }, "Try again"));
    return el("div", { class: "failure" }, el("p", {}, error.message),
        el("div", { class: "buttons" }, ...buttons));
}

function factsOf(node) {
    const facts = [];
    const drawn = node.usage?.completion_tokens;
    if (drawn) facts.push(`${number(drawn)} tokens`);
    if (drawn > 1 && node.draw_ms > 0) facts.push(`${number((drawn - 1) * 1000 / node.draw_ms)}/s`);
    if (node.usage?.prompt_cache_hit_tokens) {
        facts.push(`${number(node.usage.prompt_cache_hit_tokens)} of ` +
            `${number(node.usage.prompt_tokens)} prompt tokens from the cache`);
    }
    if (node.finish === "stopped") facts.push("stopped");
    if (node.finish === "length") facts.push("cut at the limit of tokens");
    return facts.join(" \u00b7 ");
}

// ---- messages ----

class AnswerView {
    constructor(chat, node) {
        this.chat = chat;
        this.thinking = new Thinking(chat.opensThinking() && chat.isRunning(node));
        this.body = el("div", { class: "text" });
        this.markdown = new MarkdownView(this.body);
        this.wait = el("div", { class: "wait" }, el("span"), el("span"), el("span"));
        this.calls = el("div", { class: "calls" });
        this.failure = el("div", { role: "alert" });
        this.foot = el("div", { class: "foot-row" });
        this.element = el("article", { class: "message assistant", "aria-label": "Answer" },
            el("h2", { class: "unseen" }, "Answer"), this.thinking.element, this.body, this.calls,
            this.wait, this.failure, this.foot);
        this.update(node);
    }

    update(node) {
        const running = this.chat.isRunning(node);
        this.thinking.update(node, running);
        this.markdown.update(node.content);
        this.wait.hidden = !running || Boolean(node.content || node.calls?.length) ||
            !this.thinking.element.hidden;
        this.element.setAttribute("aria-busy", String(running));
        if (running) {
            this.calls.replaceChildren(...(node.calls ?? []).map((call) => callCard(call)));
            this.foot.replaceChildren();
            this.failure.replaceChildren();
        } else {
            this.finish(node);
        }
    }

    finish(node) {
        const chat = this.chat, actions = chat.actions;
        this.updateCalls(node);
        this.failure.replaceChildren(...(node.error ? [errorCard(node.error,
            { key: actions.key, again: () => actions.again(node) })] : []));
        const buttons = [];
        if (node.content) buttons.push(copyButton("Copy answer", () => node.content));
        if (!node.error) {
            buttons.push(iconButton("again", "Answer again", () => actions.again(node)));
        }
        this.foot.replaceChildren(...buttons, ...chat.versions(node),
            el("span", { class: "facts" }, factsOf(node)));
    }

    // Calls without results are asked for, all before they are sent.
    updateCalls(node) {
        const calls = node.calls ?? [], results = this.chat.resultsOf(node);
        if (!calls.length || results.size || this.chat.lastNode() !== node) {
            this.calls.replaceChildren(
                ...calls.map((call) => callCard(call, results.get(call.id))));
            return;
        }
        const given = new Map();
        const send = el("button", { type: "button", class: "plain", disabled: true,
            onclick: () => this.chat.actions.results(node, given) }, "Send results");
        const onresult = (id, text) => {
            given.set(id, text);
            send.disabled = !calls.every((call) => given.get(call.id)?.trim());
        };
        this.calls.replaceChildren(...calls.map((call) => callCard(call, undefined, onresult)), send);
    }
}

class QuestionView {
    constructor(chat, node) {
        this.chat = chat;
        this.text = el("div", { class: "bubble" });
        this.foot = el("div", { class: "foot-row" });
        this.element = el("article", { class: "message user", "aria-label": "Your message" },
            el("h2", { class: "unseen" }, "Your message"), this.text, this.foot);
        this.update(node);
    }

    update(node) {
        this.node = node;
        this.form?.remove();
        this.form = null;
        this.text.textContent = node.content;
        this.text.hidden = false;
        this.element.classList.remove("editing");
        this.edit = iconButton("edit", "Edit message", () => this.startEdit());
        this.foot.replaceChildren(...this.chat.versions(node), this.edit,
            copyButton("Copy message", () => node.content));
    }

    startEdit() {
        if (this.form) return this.form.querySelector("textarea").focus();
        const box = el("textarea", { class: "edit-box", "aria-label": "Edit your message", rows: "3",
            value: this.node.content });
        const cancel = () => {
            this.update(this.node);
            this.edit.focus();
        };
        const send = () => {
            if (box.value.trim()) this.chat.actions.edit(this.node, box.value);
        };
        box.addEventListener("keydown", (event) => {
            if (event.key === "Escape") {
                event.stopPropagation();
                cancel();
            } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
                event.preventDefault();
                send();
            }
        });
        this.form = el("div", { class: "edit-form" }, box, el("div", { class: "buttons" },
            el("button", { type: "button", class: "plain", onclick: cancel }, "Cancel"),
            el("button", { type: "button", class: "plain primary", onclick: send }, "Send")));
        this.text.hidden = true;
        this.element.classList.add("editing");
        this.foot.replaceChildren();
        this.text.after(this.form);
        box.focus();
        box.setSelectionRange(box.value.length, box.value.length);
    }
}

// ---- the whole ----

// actions: {again(node), edit(node, text), results(node, map), version(node, label), key()}
// host: {isRunning(node), opensThinking()}
export class ChatView {
    views = new Map(); // node id: view
    conversation = null;
    dirty = new Set();

    constructor(actions, host) {
        this.actions = actions;
        this.isRunning = host.isRunning;
        this.opensThinking = host.opensThinking;
        this.list = byId("messages");
        this.scroller = byId("scroller");
        this.latest = byId("latest");
        this.scroller.addEventListener("scroll", () => this.noteScroll());
        this.latest.addEventListener("click", () => this.toEnd());
        this.stuck = true;
        new ResizeObserver(() => this.follow()).observe(this.list);
    }

    lastNode() {
        return this.conversation.nodes[this.conversation.head];
    }

    resultsOf(node) {
        const results = new Map();
        for (const other of pathOf(this.conversation))
            if (other.role === "tool" && node.calls?.some((call) => call.id === other.call_id))
                results.set(other.call_id, other.content);
        return results;
    }

    // Buttons to go to other versions of a message.
    versions(node) {
        const all = siblingsOf(this.conversation, node), at = all.indexOf(node);
        if (all.length < 2) return [];
        const go = (i, label) => this.actions.version(all[i], label);
        return [el("span", { class: "versions", role: "group", "aria-label": "Versions" },
            iconButton("left", "Earlier version", () => go(at - 1, "Earlier version"),
                { disabled: at === 0 }),
            el("span", {}, `${at + 1} / ${all.length}`),
            iconButton("right", "Later version", () => go(at + 1, "Later version"),
                { disabled: at === all.length - 1 }))];
    }

    // Shows the conversation as it is now; views of messages that stay are kept.
    show(conversation) {
        const other = conversation !== this.conversation;
        if (other) this.views.clear();
        this.conversation = conversation;
        const path = pathOf(conversation).filter((node) => node.role !== "tool");
        const views = new Map();
        for (const node of path) {
            const view = this.views.get(node.id) ?? this.make(node), state = this.stateOf(node);
            if (view.state !== state) view.update(node);
            view.state = state;
            views.set(node.id, view);
        }
        this.views = views;
        this.place([...views.values()].map((view) => view.element));
        byId("empty").hidden = path.length > 0;
        if (other) this.toEnd();
        this.follow();
    }

    // Elements that are in their place are not moved: that would take the focus from them.
    place(elements) {
        const children = this.list.children;
        let same = 0;
        while (same < elements.length && children[same] === elements[same]) same++;
        while (children.length > same) this.list.lastChild.remove();
        this.list.append(...elements.slice(same));
    }

    // What a view shows besides text that grows: one that did not change is left alone, with the focus or the
    // edit that may be in it.
    stateOf(node) {
        const all = siblingsOf(this.conversation, node);
        return JSON.stringify([this.isRunning(node), node.content.length, node.finish, node.error,
            all.indexOf(node), all.length, this.lastNode() === node, this.resultsOf(node).size]);
    }

    make(node) {
        return node.role === "user" ? new QuestionView(this, node) : new AnswerView(this, node);
    }

    // The node grew: drawn with the next frame.
    touch(node) {
        if (!this.views.has(node.id)) return;
        if (!this.dirty.size) requestAnimationFrame(() => this.flush());
        this.dirty.add(node);
    }

    flush() {
        for (const node of this.dirty) {
            const view = this.views.get(node.id);
            if (!view) continue;
            view.update(node);
            view.state = null;
        }
        this.dirty.clear();
        this.follow();
    }

    // After another version was chosen: the focus stays on that choice.
    focusVersions(node, label) {
        const element = this.views.get(node.id)?.element;
        const button = element?.querySelector(`[aria-label="${label}"]:enabled`) ??
            element?.querySelector(".versions button:enabled");
        button?.focus();
    }

    editLast() {
        const last = pathOf(this.conversation).findLast((node) => node.role === "user");
        const view = last && this.views.get(last.id);
        if (view) view.startEdit();
    }

    // ---- scrolling: at the end it stays at the end ----

    noteScroll() {
        const s = this.scroller;
        this.stuck = s.scrollHeight - s.scrollTop - s.clientHeight < 40;
        this.latest.hidden = this.stuck;
    }

    follow() {
        if (this.stuck) this.scroller.scrollTop = this.scroller.scrollHeight;
    }

    toEnd() {
        this.stuck = true;
        this.latest.hidden = true;
        this.follow();
    }
}

// What a screen reader says of an answer that is complete.
export function announceAnswer(node) {
    if (node.error) return; // an alert already
    const text = node.content.replace(/\s+/g, " ").trim();
    const calls = (node.calls ?? []).map((call) => `Tool call ${call.name}.`).join(" ");
    announce(`Answer: ${text.slice(0, 600)} ${calls}`.trim());
}
