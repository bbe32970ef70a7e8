/** A virtual table: only the rows in view exist, so that a million rows scroll as smoothly as ten. */

import { el, stateMark } from "./dom.ts";
import { tone } from "./format.ts";
import { visible } from "./visible.ts";

/** A column: its title, its class, and true if its cells are states. */
export interface TableColumn {
  title: string;
  kind: string;
  isState?: boolean;
}

/** The content of a table. */
export interface TableOptions {
  label: string;
  columns: TableColumn[];
  /** Returns the cells of a row, or undefined while they aren't loaded. */
  cells: (index: number) => string[] | undefined;
  /** Opens a row. */
  open: (index: number) => void;
  empty: string;
}

const ROW_HEIGHT = 28;
/** The maximum height of an element. Firefox has a limit of about 17 million pixels. */
const MAX_HEIGHT = 8_000_000;

let tables = 0;

/** A virtual table. */
export class VirtualTable {
  readonly element: HTMLElement;
  private readonly id = `table-${++tables}`;
  private readonly scroller: HTMLElement;
  private readonly spacer: HTMLElement;
  private readonly layer: HTMLElement;
  private readonly emptyNote: HTMLElement;
  private readonly pool: { row: HTMLElement; cells: HTMLElement[]; index: number }[] = [];
  private count = 0;
  private active = 0;
  private opened = -1;
  private top = 0;
  private lastScroll = 0;
  private isQueued = false;
  private settle: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: TableOptions) {
    const titles = options.columns.map(({ title, kind }) => el("div", { role: "columnheader", class: `cell ${kind}` }, title));
    const head = el("div", { role: "row", class: "grid-row head", "aria-rowindex": "1" }, ...titles);
    this.layer = el("div", { role: "rowgroup", class: "layer" });
    this.spacer = el("div", { role: "presentation", class: "spacer" });
    this.scroller = el("div", { class: "scroller", role: "presentation" }, this.layer, this.spacer);
    this.emptyNote = el("p", { class: "empty" }, options.empty);
    const attributes = { class: "grid", role: "grid", tabindex: "0", "aria-label": options.label };
    this.element = el("div", attributes, el("div", { role: "rowgroup" }, head), this.scroller, this.emptyNote);
    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.layer.addEventListener("click", (event) => this.onClick(event));
    new ResizeObserver(() => this.refresh()).observe(this.scroller);
  }

  /** Sets the number of rows. Keeps the scroll position unless `toTop`. */
  setCount(count: number, toTop: boolean) {
    this.count = count;
    if (toTop) [this.active, this.opened, this.top] = [0, -1, 0];
    this.active = Math.min(this.active, Math.max(0, count - 1));
    this.spacer.style.height = `${Math.min(count * ROW_HEIGHT, MAX_HEIGHT)}px`;
    this.element.setAttribute("aria-rowcount", String(count + 1));
    this.emptyNote.hidden = count > 0;
    this.top = Math.min(this.top, this.maxTop);
    this.syncScroll();
    this.refresh();
  }

  /** Redraws the rows in view at the next frame. */
  refresh() {
    if (this.isQueued) return;
    this.isQueued = true;
    requestAnimationFrame(() => {
      this.isQueued = false;
      this.draw();
    });
  }

  /** Makes a row the active one, and scrolls to it. */
  activate(index: number) {
    this.active = Math.max(0, Math.min(this.count - 1, index));
    const at = this.active * ROW_HEIGHT;
    const height = this.scroller.clientHeight;
    if (at < this.top) this.top = at;
    else if (at + ROW_HEIGHT > this.top + height) this.top = at + ROW_HEIGHT - height;
    this.top = Math.max(0, Math.min(this.top, this.maxTop));
    this.syncScroll();
    this.refresh();
  }

  private get maxTop(): number {
    return Math.max(0, this.count * ROW_HEIGHT - this.scroller.clientHeight);
  }

  /** Returns the scale between the scroll bar and the height of the rows. */
  private get scale(): number {
    const range = Math.min(this.count * ROW_HEIGHT, MAX_HEIGHT) - this.scroller.clientHeight;
    return range > 0 ? this.maxTop / range : 1;
  }

  private syncScroll() {
    this.scroller.scrollTop = this.top / this.scale;
    this.lastScroll = this.scroller.scrollTop;
  }

  private onScroll() {
    const scroll = this.scroller.scrollTop;
    const moved = scroll - this.lastScroll;
    this.lastScroll = scroll;
    if (moved === 0) return;
    const isAtEnd = scroll <= 0 || scroll >= this.scroller.scrollHeight - this.scroller.clientHeight - 1;
    // A wheel moves as many pixels as in any table; only dragging the bar moves by its scale.
    const isStep = !isAtEnd && Math.abs(moved) < this.scroller.clientHeight;
    this.top = Math.max(0, Math.min(this.maxTop, isStep ? this.top + moved : scroll * this.scale));
    this.refresh();
    clearTimeout(this.settle);
    if (this.scale > 1) this.settle = setTimeout(() => this.syncScroll(), 200);
  }

  private draw() {
    const height = this.scroller.clientHeight;
    const needed = Math.min(this.count, Math.ceil(height / ROW_HEIGHT) + 1);
    while (this.pool.length < needed) this.addPooled();
    const first = Math.floor(this.top / ROW_HEIGHT);
    this.layer.style.transform = `translateY(${first * ROW_HEIGHT - this.top}px)`;
    this.pool.forEach((pooled, i) => {
      const index = first + i;
      pooled.row.hidden = i >= needed || index >= this.count;
      if (!pooled.row.hidden) this.fill(pooled, index);
    });
    const activeRow = this.active - first;
    const isVisible = this.count > 0 && activeRow >= 0 && activeRow < needed;
    if (isVisible) this.element.setAttribute("aria-activedescendant", this.pool[activeRow].row.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  private addPooled() {
    const cells = this.options.columns.map(({ kind }) => el("div", { role: "gridcell", class: `cell ${kind}` }));
    const row = el("div", { role: "row", class: "grid-row", id: `${this.id}-${this.pool.length}` }, ...cells);
    this.layer.append(row);
    this.pool.push({ row, cells, index: -1 });
  }

  private fill(pooled: { row: HTMLElement; cells: HTMLElement[]; index: number }, index: number) {
    pooled.index = index;
    pooled.row.setAttribute("aria-rowindex", String(index + 2));
    pooled.row.setAttribute("aria-selected", String(index === this.opened));
    pooled.row.classList.toggle("active", index === this.active);
    const texts = this.options.cells(index);
    pooled.row.classList.toggle("loading", texts === undefined);
    pooled.cells.forEach((cell, i) => {
      const text = texts?.[i] ?? "";
      if (this.options.columns[i].isState && text !== "") cell.replaceChildren(stateMark(text, tone(text)));
      else cell.textContent = visible(text);
    });
  }

  private onClick(event: MouseEvent) {
    const target = event.target instanceof Element ? event.target.closest(".grid-row") : null;
    const pooled = this.pool.find(({ row }) => row === target);
    if (pooled === undefined) return;
    this.open(pooled.index);
  }

  private open(index: number) {
    [this.active, this.opened] = [index, index];
    this.refresh();
    this.options.open(index);
  }

  private onKey(event: KeyboardEvent) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW_HEIGHT) - 1);
    const targets: Record<string, number> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.count - 1,
    };
    if (event.ctrlKey || event.metaKey || event.altKey || this.count === 0) return;
    if (Object.hasOwn(targets, event.key)) this.activate(targets[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.open(this.active);
    else return;
    event.preventDefault();
  }
}
