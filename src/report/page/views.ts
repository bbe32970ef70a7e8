/** The lists: runs, decisions, activity by tool, rows. Each follows the range that the timeline selects. */

import { about, decided } from "./about.ts";
import { toolUses } from "./activity.ts";
import { announce, button, el, ofTotal, plainTable, select, setOptions } from "./dom.ts";
import { ALL_ROWS, type Filter, findRows, needsIndex, type Order } from "./filter.ts";
import { duration, number, second } from "./format.ts";
import { sortByKey } from "./growable.ts";
import type { Model } from "./model.ts";
import { Cancelled, Pace } from "./pace.ts";
import { ALL_TIME, isIn, type Range } from "./range.ts";
import { Facts, type RowText, stateOf } from "./row.ts";
import { excerpt } from "./runs.ts";
import type { Found } from "./search.ts";
import { VirtualTable } from "./table.ts";
import { visible } from "./visible.ts";
import { prepareWorkers } from "./workers.ts";

/** A list of the page. */
export interface View {
  readonly element: HTMLElement;
  /** Shows the rows indexed so far. */
  update: () => void;
  /** Shows only the rows in a range. */
  setRange: (range: Range) => void;
}

/** The number of cached rows of cells, so that those in view stay although their chunks are no longer in memory. */
const MAX_KEPT_CELLS = 2000;

/** The cells of rows. Loads the chunks of rows that are not loaded, one at a time, and draws the table again. */
class RowCells {
  private readonly kept = new Map<number, string[]>();
  private wanted = -1;
  private isLoading = false;

  constructor(
    private readonly model: Model,
    private readonly compute: (row: number, text: RowText) => string[],
    private readonly done: () => void,
  ) {}

  /** Returns the cells, or loads them. */
  get(row: number): string[] | undefined {
    const kept = this.kept.get(row);
    if (kept !== undefined) return kept;
    const text = this.model.peek(row);
    if (text !== undefined) return this.keep(row, text);
    this.wanted = row;
    if (!this.isLoading) void this.load();
    return undefined;
  }

  private keep(row: number, text: RowText): string[] {
    const cells = this.compute(row, text);
    this.kept.set(row, cells);
    for (const [oldest] of this.kept) {
      if (this.kept.size <= MAX_KEPT_CELLS) break;
      this.kept.delete(oldest);
    }
    return cells;
  }

  private async load() {
    this.isLoading = true;
    while (this.wanted !== -1) {
      const row = this.wanted;
      this.wanted = -1;
      const text = await this.model.text(row).catch(() => undefined);
      if (text === undefined) continue;
      this.keep(row, text);
      this.done();
    }
    this.isLoading = false;
  }
}

function searchField(label: string, placeholder: string, onInput: (text: string) => void) {
  const input = el("input", { type: "search", placeholder, "aria-label": label, autocomplete: "off", spellcheck: "false" });
  let timer: ReturnType<typeof setTimeout> | undefined;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => onInput(input.value), 100);
  });
  return input;
}

/** All rows, with search and filters. */
export class RowsView implements View {
  readonly element: HTMLElement;
  private filter: Filter = ALL_ROWS;
  private rows: Uint32Array<ArrayBuffer> | undefined;
  private pace: Pace | undefined;
  private isStale = false;
  private readonly table: VirtualTable;
  private readonly count = el("output", { class: "count" });
  private readonly search: HTMLInputElement;
  private readonly states: ReturnType<typeof select>;
  private readonly tools: ReturnType<typeof select>;

  constructor(
    private readonly model: Model,
    open: (row: number) => void,
    clearRange: () => void,
  ) {
    const sources = [...new Set(model.files.map((file) => file.source))];
    this.search = searchField("Search the text of rows", "Search the text of rows", (text) => this.change({ text }));
    this.search.addEventListener("input", () => model.isSmall || prepareWorkers());
    const source = select("Source", [["", "All sources"]], (value) => this.change({ source: value }));
    setOptions(source.input, sources);
    this.states = select("State", [["", "All states"]], (value) => this.change({ state: value }));
    this.tools = select("Tool", [["", "All tools"]], (value) => this.change({ tool: value }));
    const orders: [Order, string][] = [["log", "As in the logs"], ["oldest", "Oldest first"], ["newest", "Newest first"], ["longest", "Longest duration first"]];
    const order = select("Order", orders, (value) => this.change({ order: orders.find(([known]) => known === value)?.[0] ?? "log" }));
    const clear = () => {
      for (const { input } of [source, this.states, this.tools]) input.value = "";
      this.search.value = "";
      this.filter = { ...this.filter, text: "", source: "", state: "", tool: "" };
      // The range is a filter, too. Clearing it applies the others.
      clearRange();
    };
    const fields = [source, this.states, this.tools, order].map(({ field }) => field);
    const bar = el("div", { class: "filters", role: "search" }, this.search, ...fields, button("Clear filters", clear, { class: "quiet" }), this.count);
    this.table = new VirtualTable({
      label: "Rows",
      columns: [
        { title: "Time (UTC)", kind: "time" },
        { title: "Source", kind: "source" },
        { title: "State", kind: "short", isState: true },
        { title: "About", kind: "about" },
        { title: "Text", kind: "text" },
      ],
      cells: (index) => this.cellsAt(this.rowAt(index)),
      open: (index) => open(this.rowAt(index)),
      empty: "No rows match.",
    });
    this.element = el("div", { class: "view" }, bar, this.table.element);
    this.cells = new RowCells(model, (row, text) => this.cellsOf(row, text), () => this.table.refresh());
    this.apply();
  }

  private readonly cells: RowCells;

  update() {
    const { model } = this;
    setOptions(this.states.input, model.stateNames.sorted().map((code) => model.stateNames.name(code)));
    setOptions(this.tools.input, model.toolNames.sorted().map((code) => model.toolNames.name(code)));
    this.table.refresh();
    if (model.isIndexed && this.isStale) this.apply();
  }

  setRange(range: Range) {
    this.change({ range });
  }

  private change(part: Partial<Filter>) {
    this.filter = { ...this.filter, ...part };
    this.apply();
  }

  private rowAt(index: number): number {
    return this.rows === undefined ? index : this.rows[index];
  }

  private apply() {
    this.pace?.cancel();
    const { filter, model } = this;
    this.isStale = needsIndex(filter) && !model.isIndexed;
    const isAll = !needsIndex(filter) && filter.text === "" && filter.source === "";
    if (isAll) {
      this.show(undefined, model.rows, true);
      this.count.textContent = ofTotal(model.rows, model.rows, "rows");
      announce(this.count.textContent);
      return;
    }
    if (this.isStale) this.count.textContent = "waiting until all rows are read…";
    else void this.find(filter);
  }

  private async find(filter: Filter) {
    const pace = new Pace();
    this.pace = pace;
    let isFirst = true;
    let missing = "";
    const show = (rows: Uint32Array<ArrayBuffer>, part: number) => {
      this.show(rows, rows.length, isFirst);
      isFirst = false;
      const count = ofTotal(rows.length, this.model.rows, "rows");
      this.count.textContent = (part < 1 ? `${count} so far (${Math.floor(part * 100)} %)` : count) + missing;
    };
    const report = ({ rows, unread }: Found, part: number) => {
      // Unreadable rows can't be searched. The page says so, because they must not look like rows without a match.
      if (unread > 0) missing = `; ${number(unread)} can't be read`;
      show(rows, part);
    };
    try {
      const rows = await this.model.whileIndexWaits(() => findRows(this.model, filter, pace, report));
      show(rows, 1);
      announce(this.count.textContent);
    } catch (error) {
      if (error instanceof Cancelled) return;
      // Ignores the rows of an earlier search.
      this.show(new Uint32Array(0), 0, true);
      this.count.textContent = "not searched";
      throw error;
    }
  }

  private show(rows: Uint32Array<ArrayBuffer> | undefined, count: number, toTop: boolean) {
    this.rows = rows;
    this.table.setCount(count, toTop);
  }

  private cellsAt(row: number): string[] | undefined {
    const cells = this.cells.get(row);
    if (cells === undefined || row >= this.model.indexed) return cells;
    const [time, source, , about, text] = cells;
    return [time, source, this.model.stateNames.name(this.model.states[row]), about, text];
  }

  private cellsOf(row: number, text: RowText): string[] {
    const { source } = this.model.fileOf(row);
    const facts = new Facts(text.bytes, text.entryAt, text.entryEnd);
    return [second(facts.time(source)), source, stateOf(source, facts) ?? "", about(source, facts), excerpt(text, 300)];
  }
}

/** The runs, one line each. */
export class RunsView implements View {
  readonly element: HTMLElement;
  private shown = new Uint32Array(0);
  private range = ALL_TIME;
  private text = "";
  private state = "";
  private order: Order = "newest";
  private readonly table: VirtualTable;
  private readonly count = el("output", { class: "count" });
  private readonly states: ReturnType<typeof select>;

  constructor(
    private readonly model: Model,
    open: (run: number) => void,
  ) {
    const search = searchField("Find runs by recipe or task id", "Recipe or task id", (text) => this.change(() => (this.text = text)));
    this.states = select("State", [["", "All states"]], (value) => this.change(() => (this.state = value)));
    const orders: [Order, string][] = [["newest", "Newest first"], ["oldest", "Oldest first"], ["longest", "Longest first"]];
    const order = select("Order", orders, (value) => this.change(() => (this.order = orders.find(([known]) => known === value)?.[0] ?? "newest")));
    const bar = el("div", { class: "filters", role: "search" }, search, this.states.field, order.field, this.count);
    this.table = new VirtualTable({
      label: "Runs",
      columns: [
        { title: "Started (UTC)", kind: "time" },
        { title: "Recipe", kind: "about" },
        { title: "Trigger", kind: "short" },
        { title: "State", kind: "short", isState: true },
        { title: "Took", kind: "number" },
        { title: "Rows", kind: "number small" },
      ],
      cells: (index) => this.cells(this.shown[index]),
      open: (index) => open(this.shown[index]),
      empty: "No runs match.",
    });
    this.element = el("div", { class: "view" }, bar, this.table.element);
  }

  update() {
    const { runs, stateNames } = this.model;
    const used = new Set(runs.states.values());
    setOptions(this.states.input, stateNames.sorted().filter((code) => used.has(code)).map((code) => stateNames.name(code)));
    this.list(false);
  }

  setRange(range: Range) {
    this.change(() => (this.range = range));
  }

  private change(act: () => void) {
    act();
    this.list(true);
    announce(this.count.textContent);
  }

  private list(toTop: boolean) {
    const { runs, stateNames } = this.model;
    const wanted = this.text.trim().toLowerCase();
    const recipes = new Set(runs.recipeNames.sorted().filter((code) => runs.recipeNames.name(code).toLowerCase().includes(wanted)));
    const exact = runs.find(new TextEncoder().encode(JSON.stringify(this.text.trim())));
    const state = this.state === "" ? undefined : stateNames.find(this.state);
    const found: number[] = [];
    for (let run = 0; run < runs.count; run++) {
      if (wanted !== "" && run !== exact && !recipes.has(runs.recipes.get(run))) continue;
      if (state !== undefined && runs.states.get(run) !== state) continue;
      if (isIn(this.range, runs.starts.get(run))) found.push(run);
    }
    const key = this.order === "longest" ? runs.durations.values() : runs.starts.values();
    this.shown = sortByKey(Uint32Array.from(found), key, this.order !== "oldest");
    this.count.textContent = ofTotal(found.length, runs.count, "runs");
    this.table.setCount(found.length, toTop);
  }

  private cells(run: number): string[] {
    const { runs, stateNames } = this.model;
    return [
      second(runs.starts.get(run)),
      runs.recipeNames.name(runs.recipes.get(run)),
      runs.triggerNames.name(runs.triggers.get(run)),
      stateNames.name(runs.states.get(run)),
      duration(runs.durations.get(run)),
      number(runs.rowCounts.get(run)),
    ];
  }
}

/** Decisions and approvals, with their outcomes. */
export class DecisionsView implements View {
  readonly element: HTMLElement;
  private shown = new Uint32Array(0);
  private range = ALL_TIME;
  private readonly table: VirtualTable;
  private readonly count = el("output", { class: "count" });
  private readonly cells: RowCells;

  constructor(
    private readonly model: Model,
    open: (row: number) => void,
  ) {
    this.table = new VirtualTable({
      label: "Decisions and approvals",
      columns: [
        { title: "Time (UTC)", kind: "time" },
        { title: "Source", kind: "source" },
        { title: "Ref", kind: "short" },
        { title: "Decision", kind: "text" },
        { title: "Outcome", kind: "short", isState: true },
      ],
      cells: (index) => this.cells.get(this.shown[index]),
      open: (index) => open(this.shown[index]),
      empty: "No decisions or approvals.",
    });
    this.element = el("div", { class: "view" }, el("div", { class: "filters" }, this.count), this.table.element);
    this.cells = new RowCells(model, (row, text) => this.cellsOf(row, text), () => this.table.refresh());
  }

  update() {
    const rows = this.model.decisions.rows.values();
    const times = this.model.times;
    const inRange = rows.filter((row) => isIn(this.range, times[row]));
    this.shown = sortByKey(inRange, times, true);
    this.count.textContent = ofTotal(inRange.length, rows.length, "decisions and approvals");
    this.table.setCount(inRange.length, false);
  }

  setRange(range: Range) {
    this.range = range;
    this.update();
  }

  private cellsOf(row: number, text: RowText): string[] {
    const { source } = this.model.fileOf(row);
    const facts = new Facts(text.bytes, text.entryAt, text.entryEnd);
    const outcome = this.model.decisions.outcomeOf(source, facts);
    return [second(this.model.times[row]), source, facts.text("ref", 80) ?? "", decided(source, facts), outcome];
  }
}

/** Calls by tool. */
export class ActivityView implements View {
  readonly element = el("div", { class: "view scrolls" });
  private range = ALL_TIME;

  constructor(private readonly model: Model) {}

  update() {
    const uses = toolUses(this.model, this.range);
    if (uses.length === 0) {
      this.element.replaceChildren(el("p", { class: "empty" }, "No activity."));
      return;
    }
    const most = Math.max(...uses.map((use) => use.calls));
    const rows = uses.map((use) => {
      const bar = el("span", { class: "bar plain" });
      bar.style.width = `${(use.calls / most) * 100}%`;
      const share = use.calls === 0 ? 0 : (use.errors / use.calls) * 100;
      const errors = el("span", { class: use.errors > 0 ? "bad-number" : "muted" }, `${number(use.errors)} (${share.toFixed(1)} %)`);
      const times = [use.median, use.p95, use.longest].map((millis) => duration(millis) || "–");
      return [el("span", {}, visible(use.tool)), el("span", { class: "track" }, bar), number(use.calls), errors, ...times];
    });
    const columns = [
      { title: "Tool or event" }, { title: "Share" }, { title: "Calls", kind: "number" as const }, { title: "Errors", kind: "number" as const },
      { title: "Median", kind: "number" as const }, { title: "95 % within", kind: "number" as const }, { title: "Longest", kind: "number" as const },
    ];
    this.element.replaceChildren(plainTable("Activity by tool", columns, rows));
  }

  setRange(range: Range) {
    this.range = range;
    this.update();
  }
}
