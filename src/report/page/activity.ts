/** Calls by tool: how often, how many failed, how long they took. */

import type { Model } from "./model.ts";

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

/** Sums up the activity rows from `from` until `until`. */
export function toolUses(model: Model, from: number, until: number): ToolUse[] {
  const durations = new Map<number, number[]>();
  const counts = new Map<number, { calls: number; errors: number }>();
  const error = new Set(["error", "failed"].map((state) => model.stateNames.find(state)));
  for (const chunk of model.bundle.chunks) {
    if (model.files[chunk.file].source !== "activity") continue;
    const end = Math.min(chunk.firstRow + chunk.rows, model.indexed);
    for (let row = chunk.firstRow; row < end; row++) {
      const time = model.times[row];
      const tool = model.tools[row];
      if (tool === 0 || (isLimited(from, until) && !(time >= from && time <= until))) continue;
      const count = counts.get(tool) ?? { calls: 0, errors: 0 };
      count.calls++;
      if (error.has(model.states[row])) count.errors++;
      counts.set(tool, count);
      const duration = model.durations[row];
      if (Number.isNaN(duration)) continue;
      const list = durations.get(tool);
      if (list === undefined) durations.set(tool, [duration]);
      else list.push(duration);
    }
  }
  const uses = [...counts].map(([tool, count]) => {
    const sorted = Float64Array.from(durations.get(tool) ?? []).sort();
    const at = (part: number) => (sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]);
    return { tool: model.toolNames.name(tool), ...count, median: at(0.5), p95: at(0.95), longest: at(1) };
  });
  return uses.sort((a, b) => b.calls - a.calls);
}

/** Returns true if a range leaves anything out. */
export function isLimited(from: number, until: number): boolean {
  return from !== -Infinity || until !== Infinity;
}
