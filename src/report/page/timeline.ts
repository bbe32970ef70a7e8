/** The timeline: the number of rows of each source over time. Zooms, and selects a range. */

import { button, el } from "./dom.ts";
import { minute, number } from "./format.ts";
import type { Model } from "./model.ts";
import { ALL_TIME, isLimited, type Range } from "./range.ts";

const HEIGHT = 84;
const AXIS = 20;
const BAR = 4;
/** The width between the margins of A4 and of Letter, in CSS pixels. */
const PRINT_WIDTH = 680;
const STEPS = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * 1000, n * 60_000]).concat(
  [1, 2, 3, 6, 12].map((n) => n * 3_600_000), [1, 2, 7, 14, 30, 91, 182, 365, 730, 1825, 3650, 36500].map((n) => n * 86_400_000),
).sort((a, b) => a - b);

/** The timeline of a model. */
export class Timeline {
  readonly element: HTMLElement;
  private readonly canvas = el("canvas", { class: "bars", role: "img" });
  private readonly legend = el("ul", { class: "legend" });
  private readonly chosen = el("span", { class: "chosen" });
  private readonly clear = button("Clear range", () => this.onSelect(ALL_TIME), { class: "quiet" });
  private readonly full: Range;
  private view: Range;
  selection: Range = ALL_TIME;
  private readonly sources: string[];
  private dragFrom: number | undefined;
  private isQueued = false;

  constructor(
    private readonly model: Model,
    private readonly onSelect: (range: Range) => void,
  ) {
    this.sources = [...new Set(model.files.filter((file) => file.rows > 0).map((file) => file.source))];
    this.full = fullRange(model);
    this.view = { ...this.full };
    const quiet = (label: string, title: string, act: () => void) => button(label, act, { class: "quiet", "aria-label": title, title });
    const buttons = [
      quiet("−", "Zoom out", () => this.zoom(2)),
      quiet("+", "Zoom in", () => this.zoom(0.5)),
      quiet("All", "Show all time", () => this.show(this.full)),
    ];
    const bar = el("div", { class: "timeline-bar" }, this.legend, this.chosen, this.clear, el("span", { class: "buttons" }, ...buttons));
    const frame = el("div", { class: "timeline-frame", tabindex: "0", role: "group" }, this.canvas);
    frame.setAttribute("aria-label", "Time line. Left and right move it, plus and minus zoom, Enter selects what is in view, Escape clears.");
    this.element = el("section", { class: "timeline", "aria-label": "Time line" }, bar, frame);
    this.element.hidden = this.isEmpty;
    this.clear.hidden = true;
    this.listen(frame);
    new ResizeObserver(() => this.draw()).observe(frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Returns true if rows were found before or after the times that are shown. */
  get isTooShort(): boolean {
    const { from, until } = fullRange(this.model);
    return from < this.full.from || until > this.full.until || this.isEmpty;
  }

  /** Returns true if no row has a time. */
  get isEmpty(): boolean {
    return !(this.full.until >= this.full.from);
  }

  /** Shows a range as selected. */
  select(range: Range) {
    this.selection = range;
    const isAll = !isLimited(range);
    this.clear.hidden = isAll;
    const from = range.from === -Infinity ? "the beginning" : minute(range.from);
    const until = range.until === Infinity ? "the end" : minute(range.until);
    this.chosen.textContent = isAll ? "" : `${from} to ${until} UTC`;
    this.draw();
  }

  /** Draws with the width and colours of paper, or again with those of the screen. */
  setPrinting(isPrinting: boolean) {
    document.documentElement.classList.toggle("printing", isPrinting);
    if (!this.isEmpty) this.paint(isPrinting ? PRINT_WIDTH : undefined);
  }

  /** Redraws at the next frame, for example after more rows were indexed. */
  draw() {
    if (this.isQueued || this.isEmpty) return;
    this.isQueued = true;
    requestAnimationFrame(() => {
      this.isQueued = false;
      this.paint();
    });
  }

  private show(view: Range) {
    const span = Math.min(this.full.until - this.full.from, Math.max(1000, view.until - view.from));
    const from = Math.max(this.full.from, Math.min(view.from, this.full.until - span));
    this.view = { from, until: from + span };
    this.draw();
  }

  private zoom(factor: number, around = (this.view.from + this.view.until) / 2) {
    this.show({ from: around - (around - this.view.from) * factor, until: around + (this.view.until - around) * factor });
  }

  private pan(part: number) {
    const by = (this.view.until - this.view.from) * part;
    this.show({ from: this.view.from + by, until: this.view.until + by });
  }

  private timeAt(x: number): number {
    return this.view.from + (x / Math.max(1, this.canvas.clientWidth)) * (this.view.until - this.view.from);
  }

  private listen(frame: HTMLElement) {
    const xOf = (event: MouseEvent) => event.clientX - this.canvas.getBoundingClientRect().left;
    frame.addEventListener("pointerdown", (event) => {
      this.dragFrom = xOf(event);
      frame.setPointerCapture(event.pointerId);
    });
    const rangeTo = (event: PointerEvent): Range => {
      const [a, b] = [this.dragFrom ?? 0, xOf(event)].sort((x, y) => x - y);
      const isAtEdge = b >= this.canvas.clientWidth - 3;
      return { from: Math.floor(a <= 3 ? this.view.from : this.timeAt(a)), until: Math.ceil(isAtEdge ? this.view.until : this.timeAt(b)) };
    };
    frame.addEventListener("pointermove", (event) => {
      if (this.dragFrom !== undefined && Math.abs(xOf(event) - this.dragFrom) > 3) this.select(rangeTo(event));
    });
    frame.addEventListener("pointerup", (event) => {
      const isDrag = this.dragFrom !== undefined && Math.abs(xOf(event) - this.dragFrom) > 3;
      const range = rangeTo(event);
      this.dragFrom = undefined;
      if (isDrag) this.onSelect(range);
    });
    frame.addEventListener("pointercancel", () => (this.dragFrom = undefined));
    frame.addEventListener("dblclick", () => this.show(this.full));
    frame.addEventListener("wheel", (event) => this.onWheel(event, xOf(event)), { passive: false });
    frame.addEventListener("keydown", (event) => this.onKey(event));
  }

  private onWheel(event: WheelEvent, x: number) {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX / 1000);
    else this.zoom(Math.exp(event.deltaY / 400), this.timeAt(x));
  }

  private onKey(event: KeyboardEvent) {
    const acts: Record<string, () => void> = {
      ArrowLeft: () => this.pan(-0.2),
      ArrowRight: () => this.pan(0.2),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      Home: () => this.show(this.full),
      Enter: () => this.onSelect({ from: Math.floor(this.view.from), until: Math.ceil(this.view.until) }),
      Escape: () => this.onSelect(ALL_TIME),
    };
    if (event.ctrlKey || event.metaKey || !Object.hasOwn(acts, event.key)) return;
    acts[event.key]();
    event.preventDefault();
  }

  private paint(width = this.canvas.parentElement?.clientWidth ?? 0) {
    const context = this.canvas.getContext("2d");
    if (width < 10 || context === null) return;
    const ratio = Math.max(devicePixelRatio || 1, width === PRINT_WIDTH ? 2 : 1);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${HEIGHT + AXIS}px`;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round((HEIGHT + AXIS) * ratio)];
    context.scale(ratio, ratio);
    const bins = this.countBins(Math.floor(width / BAR));
    const peak = bins.reduce((most, bin) => Math.max(most, bin.reduce((sum, rows) => sum + rows, 0)), 1);
    const style = getComputedStyle(this.canvas);
    this.paintAxis(context, width, style.getPropertyValue("--muted"), style.getPropertyValue("--line"));
    this.paintSelection(context, width, style.getPropertyValue("--select"));
    bins.forEach((bin, i) => {
      let y = HEIGHT;
      bin.forEach((rows, source) => {
        if (rows === 0) return;
        const height = Math.max(1, (rows / peak) * (HEIGHT - 14));
        context.fillStyle = style.getPropertyValue(colourOf(this.sources[source]));
        context.fillRect(i * BAR, y - height, BAR - 1, height);
        y -= height;
      });
    });
    this.describe(peak, bins);
  }

  private describe(peak: number, bins: number[][]) {
    const step = (this.view.until - this.view.from) / Math.max(1, bins.length);
    const shown = bins.reduce((sum, bin) => sum + bin.reduce((a, b) => a + b, 0), 0);
    const range = `${minute(this.view.from)} to ${minute(this.view.until)} UTC`;
    this.canvas.setAttribute("aria-label", `${number(shown)} rows from ${range}; at most ${number(peak)} in ${Math.ceil(step / 60000)} minutes`);
    const items = this.sources.map((source) => {
      const swatch = el("i", { class: "swatch" });
      swatch.style.background = `var(${colourOf(source)})`;
      return el("li", {}, swatch, source);
    });
    this.legend.replaceChildren(...items);
  }

  private countBins(count: number): number[][] {
    const bins = Array.from({ length: count }, () => new Array<number>(this.sources.length).fill(0));
    const { from, until } = this.view;
    const scale = count / Math.max(1, until - from + 1);
    const add = (time: number, source: number, rows: number) => {
      if (time >= from && time <= until) bins[Math.min(count - 1, Math.floor((time - from) * scale))][source] += rows;
    };
    if (!this.model.isIndexed) {
      for (const file of this.model.files) {
        const source = this.sources.indexOf(file.source);
        const step = file.timeline?.stepMs ?? 1;
        for (const [bin, rows] of file.timeline?.bins ?? []) add((bin + 0.5) * step, source, rows);
      }
      return bins;
    }
    for (const chunk of this.model.bundle.chunks) {
      const source = this.sources.indexOf(this.model.files[chunk.file].source);
      for (let row = chunk.firstRow; row < chunk.firstRow + chunk.rows; row++) add(this.model.times[row], source, 1);
    }
    return bins;
  }

  private paintAxis(context: CanvasRenderingContext2D, width: number, ink: string, line: string) {
    const span = this.view.until - this.view.from;
    const most = Math.max(1, Math.floor(width / 130));
    const step = STEPS.find((candidate) => span / candidate <= most) ?? STEPS[STEPS.length - 1];
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    for (let time = Math.ceil(this.view.from / step) * step; time <= this.view.until; time += step) {
      const x = Math.round(((time - this.view.from) / span) * width);
      context.fillStyle = line;
      context.fillRect(x, 0, 1, HEIGHT + 4);
      context.fillStyle = ink;
      const text = minute(time);
      const label = step >= 86_400_000 ? text.slice(0, 10) : text.slice(5);
      if (x + context.measureText(label).width + 4 < width) context.fillText(label, x + 3, HEIGHT + 15);
    }
    context.fillStyle = line;
    context.fillRect(0, HEIGHT, width, 1);
  }

  private paintSelection(context: CanvasRenderingContext2D, width: number, colour: string) {
    const { from, until } = this.selection;
    if (!isLimited(this.selection)) return;
    const x = (time: number) => Math.max(0, Math.min(width, ((time - this.view.from) / (this.view.until - this.view.from)) * width));
    context.fillStyle = colour;
    context.fillRect(x(from), 0, Math.max(1, x(until) - x(from)), HEIGHT);
  }
}

/** Returns the name of a source's colour. */
export function colourOf(source: string): string {
  const known = ["runs", "decision_traces", "commit_issue_links", "activity"].indexOf(source);
  return `--source-${known === -1 ? 4 : known}`;
}

function fullRange(model: Model): Range {
  let from = Infinity;
  let until = -Infinity;
  const add = (time: number | undefined) => {
    if (time === undefined || Number.isNaN(time)) return;
    from = Math.min(from, time);
    until = Math.max(until, time);
  };
  for (const file of model.files) {
    add(file.firstTime);
    add(file.lastTime);
  }
  // Rows can have times that the manifest does not record.
  if (model.isIndexed) for (const time of model.times) add(time);
  return until === from ? { from: from - 1000, until: until + 1000 } : { from, until };
}
