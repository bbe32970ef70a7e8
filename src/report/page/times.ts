/** Parses times as FORMAT.md defines them ("Times"). */

/** The first millisecond of the year 1. */
export const MIN_TIME = -62135596800000;
/** The first millisecond after the year 9998. */
export const MAX_TIME = 253370764800000;

const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Returns the milliseconds since 1970 of an RFC 3339 time, or NaN. Accepts a space instead of the T, like other readers. */
export function parseTime(text: string): number {
  const parts = FORM.exec(text);
  if (parts === null) return NaN;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number);
  const [offsetHour, offsetMinute] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return NaN;
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return NaN;
  const decimals = (parts[7] ?? "").padEnd(9, "0");
  const offset = (parts[8] === "-" ? -60_000 : 60_000) * (offsetHour * 60 + offsetMinute);
  // Date.UTC interprets years before 100 as 19xx.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, Math.min(second, 59), Number(decimals.slice(0, 3)));
  const time = date.getTime() - offset;
  // Fractions of a millisecond are truncated towards 1970.
  return inRange(time < 0 && Number(decimals.slice(3)) > 0 ? time + 1 : time);
}

/** Returns a time of the years 1 to 9998, or NaN. */
export function inRange(time: number): number {
  return time >= MIN_TIME && time < MAX_TIME ? time : NaN;
}

/** Returns the number of days in a month. */
export function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
