// Making elements. Text only ever becomes text nodes; nothing here or elsewhere parses HTML.

// el("button", {class: "x", onclick: f, "aria-label": "y"}, "text", node, ...)
export function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false) continue;
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (name === "value" || name === "checked") node[name] = value;
        else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
}

// One of the symbols of index.html.
export function icon(name) {
    return svg("svg", { "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

export function iconButton(name, label, onclick, attributes = {}) {
    return el("button",
        { type: "button", class: "icon-button", "aria-label": label, title: label, onclick,
          ...attributes },
        icon(name));
}

export const byId = (id) => document.getElementById(id);

// The clipboard, also where the page is not from a secure origin and has no clipboard API.
async function writeClipboard(text) {
    if (navigator.clipboard) {
        try {
            await navigator.clipboard.writeText(text);
            return true;
        } catch {
            // forbidden: try the old way
        }
    }
    const area = el("textarea", { class: "unseen", "aria-hidden": "true", value: text });
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (focused) focused.focus();
    return done;
}

// A button that copies what text() gives, and shows for a moment that it did.
export function copyButton(label, text) {
    const button = iconButton("copy", label, async () => {
        const done = await writeClipboard(text());
        button.replaceChildren(icon(done ? "check" : "close"));
        announce(done ? "Copied" : "The browser did not let it be copied");
        setTimeout(() => button.replaceChildren(icon("copy")), 1500);
    });
    return button;
}

// For screen readers: said once, not shown.
export function announce(text) {
    byId("live").textContent = text;
}

let toastTimer = 0;

// A line at the bottom, with a button when action is given: {label, run}.
export function toast(text, action) {
    const box = byId("toast");
    const hide = () => {
        clearTimeout(toastTimer);
        box.hidden = true;
        box.replaceChildren();
    };
    clearTimeout(toastTimer);
    box.replaceChildren(el("span", {}, text));
    if (action) {
        box.append(el("button", { type: "button", class: "link", onclick: () => {
            hide();
            action.run();
        } }, action.label));
    }
    box.append(iconButton("close", "Dismiss", hide));
    box.hidden = false;
    toastTimer = setTimeout(hide, action ? 15000 : 6000);
}

export const number = (x) => Math.round(x).toLocaleString("en");

export function bytes(n) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (n >= 1024 && unit < units.length - 1) {
        n /= 1024;
        unit++;
    }
    return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
    const s = Math.floor(seconds), parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const first = parts.findIndex(([size]) => s >= size);
    if (first < 0) return "0 s";
    const [a, unit] = parts[first], text = `${Math.floor(s / a)} ${unit}`;
    const next = parts[first + 1];
    return next ? `${text} ${Math.floor((s % a) / next[0])} ${next[1]}` : text;
}
