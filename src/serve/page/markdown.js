// Markdown to DOM nodes: headings, lists, quotes, fenced code, tables, rules, and inline code, bold, italic,
// struck text and links. Everything becomes elements made here and text nodes; HTML in the text stays
// text, images become links, and a link goes to http, https or mailto only. Time is linear in the text but
// for nesting, which is bounded.
//
//     const view = new MarkdownView(element);
//     view.update(text)      as often as it grows: blocks that did not change keep their nodes
import { copyButton, el } from "./dom.js";

const MAX_DEPTH = 12;

// ---- blocks ----

const FENCE = /^ {0,3}(`{3,}(?![^`]*`)|~{3,})(.*)$/; // no ` behind those of `, to the line's end
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}|\t|$)/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

const isBlank = (line) => line.trim() === "";
const indent = (line) => line.length - line.trimStart().length;
const isTable = (lines, i) =>
    lines[i].includes("|") && i + 1 < lines.length && lines[i + 1].length < 1000 &&
    DIVIDER.test(lines[i + 1]) &&
    cells(lines[i]).length === cells(lines[i + 1]).length;
const opensBlock = (line) =>
    FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

// Each takes the lines and where its block begins, and gives where the block ends.
function endOfFence(lines, i) {
    const mark = FENCE.exec(lines[i])[1];
    const closing = new RegExp(`^ {0,3}${mark[0]}{${mark.length},}[ \\t]*$`);
    for (i++; i < lines.length; i++) if (closing.test(lines[i])) return i + 1;
    return i;
}

function endOfQuote(lines, i) {
    while (i < lines.length && QUOTE.test(lines[i])) i++;
    return i;
}

const isOrdered = (mark) => mark.length > 1;

function endOfList(lines, i) {
    const ordered = isOrdered(ITEM.exec(lines[i])[2]);
    for (i++; i < lines.length; i++) {
        const item = ITEM.exec(lines[i]);
        if (item && !RULE.test(lines[i]) && isOrdered(item[2]) === ordered) continue;
        if (isBlank(lines[i])) {
            let next = i + 1;
            while (next < lines.length && isBlank(lines[next])) next++;
            const after = next < lines.length ? lines[next] : "";
            const goes = indent(after) >= 2 ||
                (ITEM.test(after) && !RULE.test(after) && isOrdered(ITEM.exec(after)[2]) === ordered);
            if (!after || !goes) return i;
            i = next - 1;
        } else if (indent(lines[i]) < 2 && (opensBlock(lines[i]) || isBlank(lines[i - 1]))) {
            return i;
        }
    }
    return i;
}

function endOfTable(lines, i) {
    for (i += 2; i < lines.length && lines[i].includes("|") && !isBlank(lines[i]); i++);
    return i;
}

function endOfText(lines, i) {
    for (i++; i < lines.length && !isBlank(lines[i]); i++)
        if (opensBlock(lines[i]) || isTable(lines, i)) return i;
    return i;
}

function kindAt(lines, i, depth) {
    const line = lines[i];
    if (FENCE.test(line)) return "fence";
    if (HEADING.test(line)) return "heading";
    if (RULE.test(line)) return "rule";
    if (depth < MAX_DEPTH && QUOTE.test(line)) return "quote";
    if (depth < MAX_DEPTH && ITEM.test(line)) return "list";
    return isTable(lines, i) ? "table" : "text";
}

const ENDS = { fence: endOfFence, heading: (_, i) => i + 1, rule: (_, i) => i + 1, quote: endOfQuote,
    list: endOfList, table: endOfTable, text: endOfText };

// [{kind, lines}]
export function blocksOf(text, depth = 0) {
    const lines = text.replace(/\r\n?/g, "\n").split("\n"), blocks = [];
    for (let i = 0; i < lines.length;) {
        if (isBlank(lines[i])) {
            i++;
            continue;
        }
        const kind = kindAt(lines, i, depth), end = ENDS[kind](lines, i);
        blocks.push({ kind, lines: lines.slice(i, end) });
        i = end;
    }
    return blocks;
}

// ---- blocks to nodes ----

function fenceNode(lines) {
    const [, mark, info] = FENCE.exec(lines[0]);
    const language = info.trim().split(/\s+/)[0].slice(0, 30);
    const last = lines[lines.length - 1].trim();
    const closed = lines.length > 1 && last.length >= mark.length && last === mark[0].repeat(last.length);
    const code = lines.slice(1, closed ? -1 : undefined).join("\n");
    const pre = el("pre", { tabindex: "0", role: "region",
        "aria-label": language ? `Code, ${language}` : "Code" }, el("code", {}, code));
    return el("div", { class: "code" },
        el("div", { class: "code-head" }, el("span", {}, language || "text"),
            copyButton("Copy code", () => code)), pre);
}

// The page's own headings are h1 and h2.
function headingNode(lines) {
    const [, marks, text] = HEADING.exec(lines[0]);
    const title = text.trimEnd().replace(/(^|[ \t])#+$/, "").trimEnd();
    return el(`h${Math.min(6, marks.length + 2)}`, {}, ...inline(title));
}

function quoteNode(lines, depth) {
    const text = lines.map((line) => line.replace(QUOTE, "")).join("\n");
    return el("blockquote", {}, ...nodesOf(text, depth + 1));
}

// The items' texts, without their marks and indent.
function itemsOf(lines) {
    const items = [], ordered = isOrdered(ITEM.exec(lines[0])[2]);
    let width = 2;
    for (const line of lines) {
        const item = ITEM.exec(line);
        const isNext = item && isOrdered(item[2]) === ordered && item[1].length < width;
        if (isNext || items.length === 0) {
            width = item[0].length;
            items.push([line.slice(width)]);
        } else {
            items[items.length - 1].push(line.slice(Math.min(indent(line), width)));
        }
    }
    return items.map((item) => item.join("\n"));
}

function listNode(lines, depth) {
    const mark = ITEM.exec(lines[0])[2], items = itemsOf(lines);
    const loose = items.some((item) => item.trimEnd().split("\n").some(isBlank));
    const list = isOrdered(mark) ? el("ol", { start: parseInt(mark, 10) }) : el("ul");
    for (const item of items) {
        const nodes = nodesOf(item, depth + 1);
        const tight = !loose && nodes[0]?.nodeName === "P";
        list.append(el("li", {}, ...(tight ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes)));
    }
    return list;
}

function cells(line) {
    const text = line.trim().replace(/^\|/, "").replace(/\|$/, "");
    return text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function tableNode(lines) {
    const sides = cells(lines[1]).map((cell) => {
        const left = cell.startsWith(":"), right = cell.endsWith(":");
        return right ? (left ? "center" : "right") : "left";
    });
    const row = (line, tag) => {
        const got = cells(line);
        return el("tr", {}, ...sides.map((side, i) =>
            el(tag, { class: `to-${side}`, scope: tag === "th" ? "col" : null },
                ...inline(got[i] ?? ""))));
    };
    return el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
        el("table", {}, el("thead", {}, row(lines[0], "th")),
            el("tbody", {}, ...lines.slice(2).map((line) => row(line, "td")))));
}

function blockNode(block, depth) {
    switch (block.kind) {
    case "fence":
        return fenceNode(block.lines);
    case "heading":
        return headingNode(block.lines);
    case "rule":
        return el("hr");
    case "quote":
        return quoteNode(block.lines, depth);
    case "list":
        return listNode(block.lines, depth);
    case "table":
        return tableNode(block.lines);
    default:
        return el("p", {}, ...inline(block.lines.map((line) => line.trimStart()).join("\n")));
    }
}

const nodesOf = (text, depth) => blocksOf(text, depth).map((block) => blockNode(block, depth));

// ---- inline ----

const LINK =
    /!?\[((?:[^[\]\\]|\\.|\[[^[\]]{0,200}\]){0,500})\]\(\s{0,20}<?([^\s()<>]{0,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,2000})?)>?(?:\s{1,20}"[^"]{0,500}")?\s{0,20}\)/y;
const URL_BARE = /https?:\/\/[^\s<>"`\u3000-\u303f\uff00-\uffef]{1,2000}/y;
const SPECIAL = /[\\`*_~[!<h\n]/g;
const ESCAPED = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;

function safeUrl(text) {
    try {
        const url = new URL(text);
        return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
    } catch {
        return null;
    }
}

function linkNode(children, address) {
    const href = safeUrl(address);
    if (!href) return null;
    return el("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href },
        ...children);
}

class Inline {
    constructor(text, depth, inLink) {
        this.text = text;
        this.depth = depth;
        this.inLink = inLink;
        this.at = 0;
        this.nodes = [];
        this.plain = "";
        this.hopeless = new Set(); // marks without a partner in what is left
    }

    flush() {
        if (this.plain) this.nodes.push(this.plain);
        this.plain = "";
    }

    put(node, end) {
        this.flush();
        this.nodes.push(node);
        this.at = end;
        return true;
    }

    literal(n) {
        this.plain += this.text.slice(this.at, this.at + n);
        this.at += n;
    }

    sub(text, inLink = this.inLink) {
        return new Inline(text, this.depth + 1, inLink).parse();
    }

    parse() {
        while (this.at < this.text.length) {
            SPECIAL.lastIndex = this.at;
            const found = SPECIAL.exec(this.text);
            this.literal((found ? found.index : this.text.length) - this.at);
            if (found && !this.special(found[0])) this.literal(1);
        }
        this.flush();
        return this.nodes;
    }

    special(c) {
        switch (c) {
        case "\\":
            return this.escape();
        case "`":
            return this.code();
        case "*":
        case "_":
        case "~":
            return this.depth < MAX_DEPTH && this.emphasis(c);
        case "[":
        case "!":
            return !this.inLink && this.link();
        case "<":
            return !this.inLink && this.angle();
        case "h":
            return !this.inLink && this.bare();
        default:
            return this.put(el("br"), this.at + 1);
        }
    }

    escape() {
        const next = this.text[this.at + 1];
        if (next === "\n") return this.put(el("br"), this.at + 2);
        if (next === undefined || !ESCAPED.test(next)) return false;
        this.plain += next;
        this.at += 2;
        return true;
    }

    code() {
        let n = 1;
        while (this.text[this.at + n] === "`") n++;
        const mark = "`".repeat(n), from = this.at + n;
        let end = this.hopeless.has(mark) ? -1 : this.text.indexOf(mark, from);
        while (end >= 0 && this.text[end + n] === "`") {
            let next = end + n;
            while (this.text[next] === "`") next++;
            end = this.text.indexOf(mark, next);
        }
        if (end < 0) {
            this.hopeless.add(mark);
            this.literal(n);
            return true;
        }
        let code = this.text.slice(from, end).replaceAll("\n", " ");
        if (code.startsWith(" ") && code.endsWith(" ") && code.trim()) code = code.slice(1, -1);
        return this.put(el("code", {}, code), end + n);
    }

    // Where a run of n marks c closes, from `from` on; -1: nowhere.
    closing(c, n, from) {
        const mark = c.repeat(n);
        if (this.hopeless.has(mark)) return -1;
        for (let i = this.text.indexOf(mark, from); i >= 0; i = this.text.indexOf(mark, i + 1)) {
            const before = this.text[i - 1], after = this.text[i + n];
            if (/\s/.test(before) || before === "\\" || i === from) continue;
            if (c === "_" && after !== undefined && WORD.test(after)) continue;
            if (n === 1 && (after === c || before === c)) {
                while (this.text[i + 1] === c) i++;
                continue;
            }
            return i;
        }
        this.hopeless.add(mark);
        return -1;
    }

    emphasis(c) {
        let run = 1;
        while (this.text[this.at + run] === c) run++;
        const n = Math.min(run, 2), from = this.at + n;
        const before = this.text[this.at - 1], next = this.text[this.at + run];
        const opens = next !== undefined && !/\s/.test(next) &&
            !(c === "_" && before !== undefined && WORD.test(before)) && !(c === "~" && n === 1);
        const end = opens && run <= 3 ? this.closing(c, n, from) : -1;
        if (end < 0) {
            this.literal(run);
            return true;
        }
        // Of three at the end of bold italics the last two close.
        const close = n === 2 && run === 3 && this.text[end + 2] === c ? end + 1 : end;
        const tag = c === "~" ? "del" : n === 2 ? "strong" : "em";
        return this.put(el(tag, {}, ...this.sub(this.text.slice(from, close))), close + n);
    }

    link() {
        LINK.lastIndex = this.at;
        const found = LINK.exec(this.text);
        if (!found || this.depth >= MAX_DEPTH) return false;
        const node = linkNode(this.sub(found[1] || found[2], true), found[2]);
        if (node) return this.put(node, this.at + found[0].length);
        this.literal(found[0].length);
        return true;
    }

    angle() {
        const near = this.text.slice(this.at + 1, this.at + 2000), size = near.indexOf(">");
        const inside = size > 0 ? near.slice(0, size) : " ";
        const node = /\s/.test(inside) ? null : linkNode([inside], inside);
        return node ? this.put(node, this.at + size + 2) : false;
    }

    bare() {
        const before = this.text[this.at - 1];
        URL_BARE.lastIndex = this.at;
        const found = before !== undefined && WORD.test(before) ? null : URL_BARE.exec(this.text);
        if (!found) return false;
        let url = found[0].replace(/[.,;:!?'*_~\])]+$/, (tail) =>
            tail.startsWith(")") && found[0].includes("(") ? ")" : "");
        const node = linkNode([url], url);
        return node ? this.put(node, this.at + url.length) : false;
    }
}

export const inline = (text) => new Inline(text, 0, false).parse();

// ---- a text that grows ----

export class MarkdownView {
    constructor(element) {
        this.element = element;
        this.sources = [];
    }

    update(text) {
        const blocks = blocksOf(text), sources = blocks.map((b) => b.kind + b.lines.join("\n"));
        let same = 0;
        while (same < sources.length && sources[same] === this.sources[same]) same++;
        while (this.element.childNodes.length > same) this.element.lastChild.remove();
        for (const block of blocks.slice(same)) this.element.append(blockNode(block, 0));
        this.sources = sources;
    }
}
