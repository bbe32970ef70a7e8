/** Numbers, sizes, times and durations as text. Times are UTC. */

const integer = new Intl.NumberFormat("en-US");

/** Returns `1,234 rows`. */
export function counted(count: number, one: string, many: string): string {
  return `${integer.format(count)} ${count === 1 ? one : many}`;
}

/** Returns `1,234`. */
export function number(value: number): string {
  return integer.format(value);
}

/** Returns a size in the unit that fits, such as `65.3 kB`. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  for (const [unit, factor] of [["kB", 1e3], ["MB", 1e6], ["GB", 1e9]] as const) {
    const value = bytes / factor;
    if (value < 999.5 || unit === "GB") return `${value.toFixed(value < 99.95 ? 1 : 0)} ${unit}`;
  }
  return "";
}

/** Returns `2026-05-02 10:00:00.000`, or nothing for NaN. */
export function time(millis: number): string {
  const date = new Date(millis);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace("T", " ").replace("Z", "");
}

/** Returns `2026-05-02 10:00:00`. */
export function second(millis: number): string {
  return time(millis).slice(0, 19);
}

/** Returns `2026-05-02 10:00`. */
export function minute(millis: number): string {
  return time(millis).slice(0, 16);
}

/** Returns a duration such as `350 ms`, `5.3 s`, `2 min 5 s` or `3 h 12 min`. */
export function duration(millis: number): string {
  if (Number.isNaN(millis)) return "";
  if (millis < 1000) return `${Math.round(millis)} ms`;
  if (millis < 59_950) return `${(millis / 1000).toFixed(1)} s`;
  const seconds = Math.round(millis / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${number(Math.round(minutes / 1440))} days`;
}

/** The tone of a state, which selects its colour. */
export type Tone = "good" | "bad" | "warn" | "plain";

const TONES: Record<string, Tone> = {
  done: "good", success: "good", ok: "good", approved: "good", approve: "good", allow: "good", allowed: "good", held: "good",
  error: "bad", failed: "bad", rejected: "bad", deny: "bad", denied: "bad", reverted: "bad",
  running: "warn", interrupted: "warn", cancelled: "warn", expired: "warn", skipped: "warn", "done with errors": "warn", "no decision": "warn",
};

/** Returns the tone of a state. */
export function tone(state: string): Tone {
  return Object.hasOwn(TONES, state) ? TONES[state] : "plain";
}
