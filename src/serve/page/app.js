// The page: which conversation is shown, answers under way, the sidebar, settings, shortcuts.
import { ApiError, listModels, streamChat } from "./api.js";
import { announceAnswer, ChatView } from "./chat.js";
import { announce, byId, el, icon, iconButton, number, toast } from "./dom.js";
import { checkField, DEFAULTS, loadKey, loadSettings, requestBody, saveKey, saveSettings } from "./settings.js";
import { StatusView } from "./status.js";
import { addNode, exportText, importText, newConversation, pathOf, removeNode, showBranch, siblingsOf,
    Store } from "./store.js";

const SAVE_MS = 1000;

let settings = loadSettings();
let { key, remember } = loadKey();
let models = [];
let modelsHere = null; // settles when the first list is here, or is not to be had
let current = newConversation(); // not in the store before its first message
const runs = new Map();          // answers under way: conversation id: {node, abort}
const store = await Store.open();
const narrow = matchMedia("(max-width: 800px)");

// ---- saving ----

// Not one that was deleted meanwhile.
async function saveIfKept(conversation) {
    if (store.conversations.has(conversation.id)) await save(conversation);
}

async function save(conversation) {
    try {
        const gone = await store.put(conversation);
        if (gone.length) toast("The oldest conversation made room for this one.");
    } catch {
        toast("The browser could not keep this conversation; it may be out of space.");
    }
}

// ---- answers ----

const chat = new ChatView(
    { again, edit, results, version: showVersion, key: () => openSettings("key") },
    { isRunning: (node) => runs.get(current.id)?.node === node,
      opensThinking: () => settings.open_thinking });

// Waits for the list if it is on its way, asks again if there was none.
async function modelName() {
    await modelsHere;
    if (!models.length) await fetchModels();
    if (!models.length) throw new ApiError("The server has no model.", 0);
    return byId("model").value || models[0].id;
}

// Takes one part of the stream into the message.
function takeChunk(node, chunk, clock) {
    if (chunk.usage) node.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {}, now = performance.now();
    if (typeof delta.reasoning_content === "string") {
        node.reasoning = (node.reasoning ?? "") + delta.reasoning_content;
    }
    if (delta.reasoning_content || delta.content || delta.tool_calls) clock.first ??= now;
    if ((delta.content || delta.tool_calls) && node.reasoning && node.thought_ms === undefined) {
        node.thought_ms = now - clock.first;
    }
    if (typeof delta.content === "string") node.content += delta.content;
    for (const part of delta.tool_calls ?? []) {
        node.calls ??= [];
        const call = node.calls[part.index] ??= { id: "", name: "", arguments: "" };
        if (part.id) call.id = part.id;
        if (part.function?.name) call.name = part.function.name;
        call.arguments += part.function?.arguments ?? "";
    }
    if (choice.finish_reason) node.finish = choice.finish_reason;
    if (clock.first) node.draw_ms = now - clock.first;
}

async function readAnswer(conversation, node, path, run) {
    const clock = {};
    let saved = performance.now();
    try {
        const body = requestBody(settings, await modelName(), path);
        await streamChat(body, key, run.abort.signal, (chunk) => {
            takeChunk(node, chunk, clock);
            if (conversation === current) chat.touch(node);
            if (performance.now() - saved > SAVE_MS) {
                saved = performance.now();
                saveIfKept(conversation);
            }
        });
    } catch (error) {
        if (error.name === "AbortError") node.finish = "stopped";
        else if (error instanceof ApiError) node.error = { message: error.message, status: error.status };
        else throw error;
    }
}

// Draws an answer behind `parent`, in the background when another conversation is shown.
async function answer(conversation, parent) {
    const path = pathOf(conversation);
    const node = addNode(conversation, parent, { role: "assistant" });
    const run = { node, abort: new AbortController() };
    runs.set(conversation.id, run);
    refresh();
    chat.toEnd();
    save(conversation);
    announce(settings.thinking ? "Thinking" : "Answering");
    try {
        await readAnswer(conversation, node, path, run);
    } finally {
        runs.delete(conversation.id);
    }
    if (node.error?.status === 401) askForKey();
    await saveIfKept(conversation);
    refresh();
    if (conversation === current) announceAnswer(node);
}

const isBusy = () => runs.has(current.id);

function send(text) {
    if (isBusy() || !text.trim()) return;
    showChat();
    const node = addNode(current, current.head, { role: "user", content: text });
    store.conversations.set(current.id, current);
    setHash(`#/c/${current.id}`);
    answer(current, node.id);
}

// Another answer to the same message; one that failed without a word is replaced.
function again(node) {
    if (isBusy()) return;
    const parent = node.parent;
    if (node.error && !node.content) removeNode(current, node);
    current.head = parent;
    answer(current, parent);
    byId("prompt").focus();
}

function edit(node, text) {
    if (isBusy()) return;
    current.head = node.parent;
    const made = addNode(current, node.parent, { role: "user", content: text });
    answer(current, made.id);
    byId("prompt").focus();
}

function results(node, given) {
    if (isBusy()) return;
    let parent = node.id;
    for (const call of node.calls)
        parent = addNode(current, parent,
            { role: "tool", call_id: call.id, content: given.get(call.id) }).id;
    answer(current, parent);
    byId("prompt").focus();
}

function showVersion(node, label) {
    if (isBusy()) return;
    showBranch(current, node);
    save(current);
    refresh();
    chat.focusVersions(node, label);
    const all = siblingsOf(current, node);
    announce(`Version ${all.indexOf(node) + 1} of ${all.length}`);
}

function stop() {
    const run = runs.get(current.id);
    if (!run) return false;
    run.abort.abort();
    return true;
}

// Another tab has changed or deleted a conversation.
store.onchange = (id) => {
    if (current.id === id && !isBusy()) current = store.conversations.get(id) ?? newConversation();
    refresh();
};

// ---- what is shown ----

let view = "chat";

function setHash(hash) {
    if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
}

function refresh() {
    const busy = isBusy();
    chat.show(current);
    byId("title").textContent = view === "status" ? "Status" : current.title || "New conversation";
    document.title = view === "status" ? "Status \u2013 Tenon" : current.title
        ? `${current.title} \u2013 Tenon` : "Tenon";
    byId("stop").hidden = !busy;
    byId("send").hidden = busy;
    updateSend();
    drawList();
}

function updateSend() {
    byId("send").disabled = !byId("prompt").value.trim();
}

const status = new StatusView(() => key);

function setView(name) {
    view = name;
    byId("chat-view").hidden = name !== "chat";
    byId("status-view").hidden = name !== "status";
    byId("open-status").setAttribute("aria-current", name === "status" ? "page" : "false");
    if (name === "status") status.show();
    else status.hide();
}

function showChat() {
    if (view !== "chat") setView("chat");
}

function focusPrompt() {
    if (!narrow.matches) byId("prompt").focus();
}

function openConversation(conversation) {
    current = conversation;
    setView("chat");
    setHash(store.conversations.has(conversation.id) ? `#/c/${conversation.id}` : "");
    closeSidebar();
    refresh();
    focusPrompt();
}

const openNew = () => openConversation(newConversation());

function openStatus() {
    setView("status");
    setHash("#/status");
    closeSidebar();
    refresh();
}

// From the address: at the start, and with the browser's back and forward.
function followHash() {
    const id = location.hash.match(/^#\/c\/(\w+)$/)?.[1];
    const found = id && store.conversations.get(id);
    if (location.hash === "#/status") {
        setView("status");
    } else {
        if (found) current = found;
        else if (store.conversations.has(current.id)) current = newConversation();
        setView("chat");
    }
    refresh();
}

// ---- the list ----

function drawList() {
    const list = byId("conversations");
    const renaming = list.querySelector("input");
    if (renaming) return; // redrawn when that is over
    const focused = document.activeElement?.closest?.("#conversations [data-id]")?.dataset.id;
    list.replaceChildren(...store.list().map(listItem));
    if (focused && !list.contains(document.activeElement)) {
        list.querySelector(`[data-id="${focused}"] .open`)?.focus();
    }
}

function listItem(conversation) {
    const isCurrent = conversation === current && view === "chat";
    const title = conversation.title || "Untitled";
    const item = el("li", { "data-id": conversation.id, class: isCurrent ? "current" : "" },
        el("button", { type: "button", class: "open", "aria-current": isCurrent ? "page" : null,
            title, onclick: () => openConversation(conversation) },
            runs.has(conversation.id) ? el("span", { class: "pulse", role: "img",
                "aria-label": "Answering" }) : null,
            el("span", { class: "open-title" }, title)),
        iconButton("edit", `Rename ${title}`, () => startRename(item, conversation)),
        iconButton("trash", `Delete ${title}`, () => removeConversation(conversation)));
    return item;
}

function startRename(item, conversation) {
    const box = el("input", { class: "rename", "aria-label": "Name of the conversation",
        maxlength: "200", value: conversation.title });
    let over = false;
    const end = (keep) => {
        if (over) return;
        over = true;
        const name = box.value.trim();
        box.remove();
        if (keep && name && name !== conversation.title) {
            conversation.title = name;
            conversation.named = true;
            save(conversation);
        }
        refresh();
        byId("conversations").querySelector(`[data-id="${conversation.id}"] .open`)?.focus();
    };
    box.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.isComposing) end(true);
        if (event.key !== "Escape") return;
        event.stopPropagation();
        end(false);
    });
    box.addEventListener("blur", () => end(true));
    item.replaceChildren(box);
    box.select();
}

async function removeConversation(conversation) {
    runs.get(conversation.id)?.abort.abort();
    const removed = store.remove(conversation.id);
    if (conversation === current) openNew();
    else refresh();
    focusPrompt();
    await removed.catch(() => {});
    toast(`Deleted "${conversation.title}".`, { label: "Undo", run: async () => {
        await save(conversation);
        openConversation(conversation);
    } });
}

function step(by) {
    const list = store.list(), at = list.indexOf(current);
    const next = list[at < 0 ? (by > 0 ? 0 : -1) : at + by];
    if (next) openConversation(next);
}

// ---- the sidebar of a narrow screen ----

function openSidebar() {
    byId("sidebar").classList.add("shown");
    byId("backdrop").hidden = false;
    byId("main").inert = true;
    byId("open-sidebar").setAttribute("aria-expanded", "true");
    byId("close-sidebar").focus();
}

function closeSidebar() {
    if (!byId("sidebar").classList.contains("shown")) return false;
    byId("sidebar").classList.remove("shown");
    byId("backdrop").hidden = true;
    byId("main").inert = false;
    byId("open-sidebar").setAttribute("aria-expanded", "false");
    byId("open-sidebar").focus();
    return true;
}

// A sidebar that is out of sight is out of reach, too.
function fitSidebar() {
    if (!narrow.matches) closeSidebar();
}

// ---- settings ----

function applyTheme() {
    const root = document.documentElement;
    if (settings.theme === "system") delete root.dataset.theme;
    else root.dataset.theme = settings.theme;
    byId("theme-name").textContent = `Theme: ${settings.theme}`;
}

function applyThinking() {
    byId("thinking").setAttribute("aria-pressed", String(settings.thinking));
}

function fillSettings() {
    for (const field of byId("settings-form").elements) {
        if (!field.name) continue;
        if (field.type === "checkbox") field.checked = settings[field.name];
        else field.value = settings[field.name] ?? "";
        showWrong(field, null);
    }
    byId("key").value = key;
    byId("remember-key").checked = remember;
}

// Says below the field what is wrong with it; null: nothing.
function showWrong(field, wants) {
    const id = `${field.id || field.name}-wrong`;
    let line = byId(id);
    if (!wants) {
        field.removeAttribute("aria-invalid");
        field.removeAttribute("aria-errormessage");
        line?.remove();
        return;
    }
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", id);
    if (!line) field.after(line = el("p", { id, class: "wrong", role: "alert" }));
    line.textContent = `This must be ${wants}.`;
}

function changeSetting(field) {
    if (!field.name) return;
    if (field.type === "checkbox") {
        settings[field.name] = field.checked;
    } else {
        const { ok, value, wants } = checkField(field.name, field.value);
        showWrong(field, ok ? null : wants);
        if (!ok) return;
        settings[field.name] = value;
    }
    saveSettings(settings);
    applyTheme();
    applyThinking();
}

function openSettings(focus) {
    fillSettings();
    byId("export-one").disabled = !store.conversations.has(current.id);
    byId("settings").showModal();
    if (focus) byId(focus).focus();
}

function toggleThinking() {
    settings.thinking = !settings.thinking;
    saveSettings(settings);
    applyThinking();
    announce(settings.thinking ? "Thinking on" : "Thinking off");
}

function switchTheme() {
    const order = ["system", "light", "dark"];
    settings.theme = order[(order.indexOf(settings.theme) + 1) % order.length];
    saveSettings(settings);
    applyTheme();
}

// ---- key and models ----

function notice(text, action) {
    const box = byId("notice");
    box.replaceChildren(el("span", {}, text));
    if (action) {
        box.append(el("button", { type: "button", class: "link", onclick: action.run }, action.label));
    }
    box.hidden = !text;
}

function askForKey() {
    notice(key ? "The server did not accept the key." : "This server wants a key.",
        { label: "Enter a key", run: () => openSettings("key") });
}

function drawModels() {
    const select = byId("model"), known = models.some((model) => model.id === settings.model);
    select.replaceChildren(...models.map((model) => el("option", { value: model.id }, model.id)));
    select.hidden = models.length === 0;
    if (known) select.value = settings.model;
    const chosen = models.find((model) => model.id === select.value);
    byId("model-line").textContent = !chosen ? "" : chosen.max_model_len
        ? `${chosen.id}, up to ${number(chosen.max_model_len)} tokens a conversation` : chosen.id;
}

async function fetchModels() {
    models = [];
    try {
        models = await listModels(key);
        notice("");
    } finally {
        drawModels();
    }
}

async function loadModels() {
    try {
        await fetchModels();
    } catch (error) {
        if (error.status === 401) askForKey();
        else notice(error.message, { label: "Try again", run: loadModels });
    }
}

async function changeKey() {
    key = byId("key").value.trim();
    remember = byId("remember-key").checked;
    saveKey(key, remember);
    await loadModels();
}

// ---- files ----

function download(name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = el("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}

async function importFile(file) {
    try {
        const made = importText(await file.text());
        for (const conversation of made) await save(conversation);
        refresh();
        toast(made.length === 1 ? "One conversation was imported."
            : `${made.length} conversations were imported.`);
    } catch (error) {
        toast(`The file was not imported: ${error.message}.`);
    }
}

// ---- the composer ----

function fitPrompt() {
    const box = byId("prompt");
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, innerHeight * 0.4)}px`;
    updateSend();
}

function sendPrompt() {
    const box = byId("prompt");
    if (isBusy() || !box.value.trim()) return;
    const text = box.value;
    box.value = "";
    fitPrompt();
    send(text);
}

function promptKey(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        sendPrompt();
    } else if (event.key === "ArrowUp" && !event.altKey && !event.target.value && !isBusy()) {
        event.preventDefault();
        chat.editLast();
    }
}

const SHORTCUTS = { KeyN: openNew, KeyM: () => { showChat(); refresh(); byId("prompt").focus(); },
    KeyT: toggleThinking, KeyI: () => (view === "status" ? openConversation(current) : openStatus()),
    KeyK: () => openSettings(), KeyH: () => byId("shortcuts").showModal(),
    ArrowUp: () => step(-1), ArrowDown: () => step(1) };

function pageKey(event) {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "Escape" && (closeSidebar() || stop())) event.preventDefault();
    const run = event.altKey && !event.ctrlKey && !event.metaKey && SHORTCUTS[event.code];
    if (!run) return;
    event.preventDefault();
    run();
}

// ---- the start ----

function on(id, type, action) {
    byId(id).addEventListener(type, action);
}

function wire() {
    on("new-chat", "click", openNew);
    on("new-chat-phone", "click", openNew);
    on("open-status", "click", openStatus);
    on("open-settings", "click", () => openSettings());
    on("open-shortcuts", "click", () => byId("shortcuts").showModal());
    on("switch-theme", "click", switchTheme);
    on("open-sidebar", "click", openSidebar);
    on("close-sidebar", "click", closeSidebar);
    on("backdrop", "click", closeSidebar);
    on("thinking", "click", toggleThinking);
    on("stop", "click", () => {
        stop();
        byId("prompt").focus();
    });
    on("skip", "click", (event) => {
        event.preventDefault();
        showChat();
        byId("prompt").focus();
    });
    on("composer", "submit", (event) => {
        event.preventDefault();
        sendPrompt();
    });
    on("prompt", "input", fitPrompt);
    on("prompt", "keydown", promptKey);
    on("model", "change", () => {
        settings.model = byId("model").value;
        saveSettings(settings);
        drawModels();
    });
    wireSettings();
    document.addEventListener("keydown", pageKey);
    addEventListener("popstate", followHash);
    narrow.addEventListener("change", fitSidebar);
}

function wireSettings() {
    on("settings-form", "input", (event) => changeSetting(event.target));
    on("settings-form", "submit", (event) => event.preventDefault());
    on("key", "change", changeKey);
    on("remember-key", "change", changeKey);
    on("export-one", "click", () => download("conversation.json", exportText([current])));
    on("export-all", "click", () => download("conversations.json", exportText(store.list())));
    on("import", "click", () => byId("import-file").click());
    on("import-file", "change", async (event) => {
        const file = event.target.files[0];
        if (file) await importFile(file);
        event.target.value = "";
    });
    on("reset", "click", () => {
        settings = { ...DEFAULTS };
        saveSettings(settings);
        applyTheme();
        applyThinking();
        fillSettings();
    });
    for (const dialog of document.querySelectorAll("dialog"))
        dialog.addEventListener("click", (event) => {
            if (event.target === dialog) dialog.close();
        });
}

wire();
applyTheme();
applyThinking();
followHash();
modelsHere = loadModels();
focusPrompt();
document.documentElement.dataset.ready = "true";
