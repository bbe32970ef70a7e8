/** Ranges of time. */

/** A range of time, in milliseconds, both ends included. */
export interface Range {
  from: number;
  until: number;
}

/** The range that leaves nothing out, not even rows without a time. */
export const ALL_TIME: Range = { from: -Infinity, until: Infinity };

/** Returns true if a range leaves anything out. */
export function isLimited({ from, until }: Range): boolean {
  return from !== -Infinity || until !== Infinity;
}

/** Returns true if a time is in a range. NaN is in no limited one. */
export function isIn(range: Range, time: number): boolean {
  return !isLimited(range) || (time >= range.from && time <= range.until);
}
