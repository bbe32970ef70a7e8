/** Runs: the rows with one `taskId`. The last row has the state. */

import { Column, Dictionary, rowColumn } from "./growable.ts";
import { HashTable } from "./hash-table.ts";
import { decode, visitElements } from "./json.ts";
import { Facts, NULL, type RowText } from "./row.ts";

/** All runs of a bundle, in the order in which they were first seen. */
export class Runs {
  readonly recipeNames = new Dictionary(2000);
  readonly triggerNames = new Dictionary(200);
  readonly first = rowColumn();
  readonly last = rowColumn();
  readonly rowCounts = rowColumn();
  readonly starts = new Column((length) => new Float64Array(length));
  readonly durations = new Column((length) => new Float64Array(length));
  readonly recipes = new Column((length) => new Uint16Array(length));
  readonly triggers = new Column((length) => new Uint8Array(length));
  readonly states = new Column((length) => new Uint8Array(length));
  private readonly byId = new HashTable();
  private readonly tails = rowColumn();
  private readonly next: Int32Array<ArrayBuffer>;

  constructor(rows: number) {
    this.next = new Int32Array(rows).fill(-1);
  }

  /** Returns the number of runs. */
  get count(): number {
    return this.first.length;
  }

  /** Adds a row. Rows come in the order of their logs. */
  add(row: number, source: string, facts: Facts, bytes: Uint8Array, time: number, state: number) {
    const place = facts.place("taskId");
    if (place === undefined || bytes[place[0]] === NULL) return;
    const run = this.byId.find(bytes, ...place, this.count);
    if (run === this.count) {
      for (const column of [this.first, this.last, this.tails]) column.push(row);
      for (const column of [this.rowCounts, this.recipes, this.triggers, this.states]) column.push(0);
      for (const column of [this.starts, this.durations]) column.push(NaN);
    } else {
      this.next[this.tails.get(run)] = row;
      this.tails.set(run, row);
    }
    this.rowCounts.set(run, this.rowCounts.get(run) + 1);
    if (Number.isNaN(this.starts.get(run))) this.starts.set(run, time);
    this.recipes.set(run, this.recipeNames.code(facts.text("recipeName", 120)) || this.recipes.get(run));
    if (source !== "runs") return;
    this.last.set(run, row);
    this.triggers.set(run, Math.min(255, this.triggerNames.code(facts.text("trigger", 60))));
    this.states.set(run, state);
    const took = (facts.number("doneAt") ?? NaN) - (facts.number("startedAt") ?? facts.number("createdAt") ?? NaN);
    const duration = facts.number("durationMs") ?? took;
    this.durations.set(run, Number.isFinite(duration) ? duration : NaN);
  }

  /** Returns the run whose id is written as in a row, quotes included. */
  find(id: Uint8Array | undefined): number | undefined {
    const run = id === undefined ? -1 : this.byId.find(id, 0, id.length, -1);
    return run === -1 ? undefined : run;
  }

  /** Returns the rows of a run, at most `max`. */
  rowsOf(run: number, max: number): number[] {
    const rows: number[] = [];
    for (let row = this.first.get(run); row !== -1 && rows.length < max; row = this.next[row]) rows.push(row);
    return rows;
  }
}

/** A step of a run. */
export interface Step {
  id: string;
  tool: string;
  state: string;
  error?: string;
  /** Milliseconds after the start of the first step. */
  start: number;
  duration: number;
}

/** The maximum number of steps shown for a run. */
export const MAX_STEPS = 200;

/** Returns the steps that the rows of a run record, and true if there are more. */
export function stepsOf(texts: RowText[]): { steps: Step[]; hasMore: boolean } {
  const found = new Map<string, Step & { startedAt: number }>();
  let hasMore = false;
  const add = (bytes: Uint8Array, at: number, end: number) => {
    if (found.size >= MAX_STEPS) {
      hasMore = true;
      return false;
    }
    const facts = new Facts(bytes, at, end);
    const id = facts.text("id", 120) ?? `step ${found.size + 1}`;
    const error = facts.text("errorMessage") ?? undefined;
    const startedAt = facts.number("startedAt") ?? NaN;
    const duration = facts.number("durationMs") ?? 0;
    const step = { id, tool: facts.text("tool", 120) ?? "", state: facts.text("status", 40) ?? "", error, startedAt };
    found.set(id, { ...step, start: 0, duration: Number.isFinite(duration) ? Math.max(0, duration) : 0 });
    return true;
  };
  for (const { bytes, entryAt, entryEnd } of texts) {
    const facts = new Facts(bytes, entryAt, entryEnd);
    const [list, step] = [facts.place("stepResults"), facts.place("step")];
    if (list !== undefined) visitElements(bytes, ...list, (at, end) => add(bytes, at, end));
    if (step !== undefined && bytes[step[0]] === 0x7b) add(bytes, ...step);
  }
  const steps = [...found.values()];
  const first = Math.min(...steps.map((step) => step.startedAt).filter((time) => !Number.isNaN(time)));
  let end = 0;
  for (const step of steps) {
    step.start = Number.isNaN(step.startedAt) ? end : step.startedAt - first;
    end = step.start + step.duration;
  }
  return { steps, hasMore };
}

/** Returns the text of a row's entry, truncated to `max` bytes. */
export function excerpt({ bytes, entryAt, entryEnd }: RowText, max: number): string {
  const isCut = entryEnd - entryAt > max;
  const text = decode(bytes, entryAt, isCut ? entryAt + max : entryEnd);
  return isCut ? `${text.replace(/\uFFFD+$/, "")}…` : text;
}
