/** Ranges of time. */

/** A range of time, in milliseconds, both ends included. */
export interface Range {
  from: number;
  until: number;
}

/** The unbounded range, which includes rows without a time. */
export const ALL_TIME: Range = { from: -Infinity, until: Infinity };

/** Returns true if a range is bounded. */
export function isLimited({ from, until }: Range): boolean {
  return from !== -Infinity || until !== Infinity;
}

/** Returns true if a time is in a range. NaN is not in any bounded range. */
export function isIn(range: Range, time: number): boolean {
  return !isLimited(range) || (time >= range.from && time <= range.until);
}
