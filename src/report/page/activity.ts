/** Calls by tool: their number, failures and durations. */

import type { Model } from "./model.ts";
import { isIn, type Range } from "./range.ts";

/** The calls of one tool. */
export interface ToolUse {
  tool: string;
  calls: number;
  errors: number;
  /** The median, the 95th percentile and the longest, in milliseconds; NaN if no call has a duration. */
  median: number;
  p95: number;
  longest: number;
}

/** Sums up the activity rows in a range. */
export function toolUses(model: Model, range: Range): ToolUse[] {
  const calls = new Map<number, { calls: number; errors: number; timed: number; durations: Float64Array }>();
  const errors = new Set(["error", "failed"].map((state) => model.stateNames.find(state)));
  for (const row of activityRows(model, range)) {
    const tool = model.tools[row];
    const sum = calls.get(tool) ?? { calls: 0, errors: 0, timed: 0, durations: new Float64Array(0) };
    sum.calls++;
    if (errors.has(model.states[row])) sum.errors++;
    if (!Number.isNaN(model.durations[row])) sum.timed++;
    calls.set(tool, sum);
  }
  // All durations in memory once, in arrays of the exact size, because there can be millions.
  for (const sum of calls.values()) sum.durations = new Float64Array(sum.timed);
  for (const row of activityRows(model, range)) {
    const sum = calls.get(model.tools[row]);
    if (sum !== undefined && !Number.isNaN(model.durations[row])) sum.durations[--sum.timed] = model.durations[row];
  }
  const uses = [...calls].map(([tool, { calls, errors, durations }]) => ({ tool: model.toolNames.name(tool), calls, errors, ...spread(durations) }));
  return uses.sort((a, b) => b.calls - a.calls);
}

/** Yields the rows of activity that name a tool. */
function* activityRows(model: Model, range: Range): Generator<number> {
  for (const chunk of model.bundle.chunks) {
    if (model.files[chunk.file].source !== "activity") continue;
    const end = Math.min(chunk.firstRow + chunk.rows, model.indexed);
    for (let row = chunk.firstRow; row < end; row++) if (model.tools[row] !== 0 && isIn(range, model.times[row])) yield row;
  }
}

/** Returns the median, the 95th percentile and the maximum. Sorts `durations`. */
export function spread(durations: Float64Array): Pick<ToolUse, "median" | "p95" | "longest"> {
  const { length } = durations.sort();
  if (length === 0) return { median: NaN, p95: NaN, longest: NaN };
  const middle = (length - 1) / 2;
  const median = (durations[Math.floor(middle)] + durations[Math.ceil(middle)]) / 2;
  return { median, p95: durations[Math.ceil((length * 95) / 100) - 1], longest: durations[length - 1] };
}
