// The status view: what the server counts, once a second while it is shown.
import { getStatus } from "./api.js";
import { byId, bytes, duration, el, number, svg } from "./dom.js";

const POINTS = 120, WIDTH = 240, HEIGHT = 56, EVERY_MS = 1000;

const rate = (x) => (x > 0 && x < 10 ? x.toFixed(1) : number(x));
const percent = (part, whole) => (whole > 0 ? Math.round(100 * part / whole) : 0);

// Each tile: what it draws from two readings, dt seconds apart, to which height at least, and what it says
// below.
const TILES = [
    { name: "Tokens drawn", unit: "per second",
      value: (a, b, dt) => (b.tokens - a.tokens) / dt, show: rate,
      note: (b) => `${number(b.tokens)} in all` },
    { name: "Prompt tokens read", unit: "per second",
      value: (a, b, dt) => (b.prompt_rows - a.prompt_rows) / dt, show: rate,
      note: (b) => `${number(b.prompt_rows)} in all` },
    { name: "Running", unit: "answers", value: (a, b) => b.running, show: number,
      most: () => 4, note: (b) => `of at most ${number(b.max_running)}` },
    { name: "Queue", unit: "waiting", value: (a, b) => b.waiting, show: number,
      most: () => 4, note: (b) => `of at most ${number(b.max_waiting)}` },
    { name: "Cache", unit: "reused",
      value: (a, b) => percent(b.reused_tokens, b.reused_tokens + b.prompt_tokens),
      show: (x) => `${x} %`, most: () => 100,
      note: (b) => `${number(b.reused_tokens)} prompt tokens` },
    { name: "Memory", unit: "set aside", value: (a, b) => b.reserved_bytes, show: bytes,
      most: (b) => b.memory_bytes, note: (b) => `of ${bytes(b.memory_bytes)}` },
];

class Tile {
    constructor(spec) {
        this.spec = spec;
        this.points = [];
        this.number = el("span", { class: "figure" }, "\u2013");
        this.note = el("span", { class: "tile-note" });
        this.area = svg("path", { class: "area" });
        this.line = svg("path", { class: "line" });
        this.chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none",
            role: "img", "aria-label": `${spec.name}, the last two minutes` }, this.area, this.line);
        this.element = el("section", { class: "tile", "aria-label": spec.name },
            el("h2", {}, spec.name),
            el("p", {}, this.number, el("span", { class: "unit" }, spec.unit)), this.chart, this.note);
    }

    add(a, b, dt) {
        const value = Math.max(0, this.spec.value(a, b, dt));
        this.points.push(value);
        if (this.points.length > POINTS) this.points.shift();
        this.number.textContent = this.spec.show(value);
        this.note.textContent = this.spec.note(b);
        this.draw(this.spec.most?.(b) ?? 0);
    }

    draw(most) {
        const top = Math.max(most, ...this.points, 1e-9), step = WIDTH / (POINTS - 1);
        const first = POINTS - this.points.length;
        const at = this.points.map((p, i) =>
            `${((first + i) * step).toFixed(1)} ${(HEIGHT - 1 - p / top * (HEIGHT - 4)).toFixed(1)}`);
        const line = `M${at.join("L")}`;
        this.line.setAttribute("d", line);
        this.area.setAttribute("d",
            `${line}L${WIDTH} ${HEIGHT}L${(first * step).toFixed(1)} ${HEIGHT}Z`);
    }
}

function totals(s) {
    const rows = [["Model", s.model], ["Version", s.version], ["Running for", duration(s.uptime_seconds)],
        ["Context", `${number(s.context)} tokens`], ["Connections", number(s.connections)],
        ["Steps", number(s.steps)], ["Tokens drawn", number(s.tokens)],
        ["Prompt tokens read", number(s.prompt_rows)], ["Memory for answers", bytes(s.memory_bytes)]];
    if (s.drafts) {
        rows.push(["Drafts that came true",
            `${percent(s.drafts_right, s.drafts)} % of ${number(s.drafts)}`]);
    }
    return rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))));
}

export class StatusView {
    timer = 0;
    asking = false; // an answer is on its way: another is not asked for
    last = null;

    // key: a function that gives the key.
    constructor(key) {
        this.key = key;
        this.tiles = TILES.map((spec) => new Tile(spec));
        byId("tiles").append(...this.tiles.map((tile) => tile.element));
    }

    show() {
        if (!this.timer) this.tick();
    }

    hide() {
        clearTimeout(this.timer);
        this.timer = 0;
    }

    async tick() {
        this.timer = setTimeout(() => this.tick(), EVERY_MS);
        if (this.asking) return;
        this.asking = true;
        const lead = byId("status-lead");
        try {
            const now = await getStatus(this.key());
            lead.classList.remove("bad");
            lead.textContent = now.stopping ? "The server is stopping."
                : "The last two minutes, once a second.";
            this.take(now);
        } catch (error) {
            lead.classList.add("bad");
            lead.textContent = error.message;
            this.last = null;
        } finally {
            this.asking = false;
        }
    }

    take(now) {
        const dt = this.last ? now.uptime_seconds - this.last.uptime_seconds : 0;
        if (dt > 0) for (const tile of this.tiles) tile.add(this.last, now, dt);
        this.last = now;
        byId("totals").replaceChildren(...totals(now));
    }
}
