/** One row: the position of its entry in a line of the bundle, its exact text, and the values that the page shows. */

import { fromBase64 } from "./bytes.ts";
import { entryOf } from "./entry.ts";
import type { ExactLine } from "./exact.ts";
import { decode, KeySet, skipSpace, skipValue, stringAt, unescape, visitMembers } from "./json.ts";
import { daysOf, inRange, parseTime } from "./times.ts";

const ENVELOPE_KEYS = new KeySet(["entry", "original", "text", "bytes"]);

/** A line of the bundle: the positions of the entry and of the exact line, if it has one. */
export interface Envelope {
  entryAt: number;
  entryEnd: number;
  originalAt: number;
  originalEnd: number;
}

/** Returns the parts of the bundle's line from `at` to `end`, or undefined if it is not a row. */
export function readEnvelope(bytes: Uint8Array, at: number, end: number): Envelope | undefined {
  const envelope = { entryAt: -1, entryEnd: -1, originalAt: -1, originalEnd: -1 };
  const close = visitMembers(bytes, skipSpace(bytes, at, end), end, (keyAt, keyEnd, valueAt) => {
    const key = ENVELOPE_KEYS.find(bytes, keyAt, keyEnd);
    const valueEnd = skipValue(bytes, valueAt, end);
    if (key === "entry") [envelope.entryAt, envelope.entryEnd] = [valueAt, valueEnd];
    if (key === "original") [envelope.originalAt, envelope.originalEnd] = [valueAt, valueEnd];
    return valueEnd;
  });
  return close === -1 || envelope.entryAt === -1 ? undefined : envelope;
}

/** The position of one row's entry in a loaded chunk. */
export interface RowText extends Envelope {
  bytes: Uint8Array;
}

/** Returns the exact line that an `original` at `at` holds. */
export function readOriginal(bytes: Uint8Array, at: number, end: number): ExactLine | undefined {
  let exact: ExactLine | undefined;
  visitMembers(bytes, at, end, (keyAt, keyEnd, valueAt) => {
    const key = ENVELOPE_KEYS.find(bytes, keyAt, keyEnd);
    const valueEnd = skipValue(bytes, valueAt, end);
    const value = stringAt(bytes, valueAt, valueEnd);
    if (value !== undefined && key === "text") exact = { text: value };
    const decoded = value !== undefined && key === "bytes" ? fromBase64(value) : undefined;
    if (decoded !== undefined) exact = { bytes: decoded };
    return valueEnd;
  });
  return exact;
}

/** Returns false if the entry of a row is not the one that follows from its exact line. */
export function isEntryOfLine(bytes: Uint8Array, row: Envelope): boolean {
  if (row.originalAt === -1) return true;
  const exact = readOriginal(bytes, row.originalAt, row.originalEnd);
  return exact !== undefined && entryOf(exact) === decode(bytes, row.entryAt, row.entryEnd);
}

const NO_BYTES = new Uint8Array(0);
const FACT_NAMES = [
  "at", "callId", "createdAt", "decidedAt", "decision", "doneAt", "durationMs", "errorMessage", "event", "hadStepErrors", "id",
  "kind", "linkType", "metadata", "outcome", "outputTail", "problem", "recipeName", "ref", "requestedAt", "sha", "solution",
  "startedAt", "status", "step", "stepResults", "subject", "summary", "taskId", "timestamp", "tool", "toolName", "trigger",
] as const;
const FACT_KEYS = new KeySet(FACT_NAMES);
/** The first byte of `null`. */
export const NULL = 0x6e;
const MAX_STATE_BYTES = 200;

/** A cache of decoded strings, because states, tools and recipes repeat in thousands of rows. */
class StringCache {
  private readonly slots = new Array<{ bytes: Uint8Array; text: string } | undefined>(1024);

  /** Returns the value of the string, or the text of another value. */
  get(bytes: Uint8Array, at: number, end: number): string {
    const length = end - at;
    if (length > 64) return stringAt(bytes, at, end) ?? decode(bytes, at, end);
    let hash = length;
    for (let i = at; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & 1023;
    const cached = this.slots[slot];
    if (cached !== undefined && cached.bytes.length === length && cached.bytes.every((byte, i) => byte === bytes[at + i])) return cached.text;
    const text = stringAt(bytes, at, end) ?? decode(bytes, at, end);
    this.slots[slot] = { bytes: bytes.slice(at, end), text };
    return text;
  }
}

const STRINGS = new StringCache();

/** A key of an entry that the page knows. */
export type FactKey = (typeof FACT_NAMES)[number];

/** The known values of an entry. Of duplicate keys, the last one counts. */
export class Facts {
  private bytes: Uint8Array = NO_BYTES;
  private readonly starts = new Int32Array(FACT_KEYS.size);
  private readonly ends = new Int32Array(FACT_KEYS.size);
  private readonly visit = (keyAt: number, keyEnd: number, valueAt: number) => {
    const key = FACT_KEYS.index(this.bytes, keyAt, keyEnd);
    const valueEnd = skipValue(this.bytes, valueAt, this.end);
    if (key !== -1) [this.starts[key], this.ends[key]] = [valueAt, valueEnd];
    return valueEnd;
  };
  private end = 0;

  constructor(bytes?: Uint8Array, at = 0, end = 0) {
    if (bytes !== undefined) this.read(bytes, at, end);
  }

  /** Reads another object, so that a loop over many rows needs only one instance. Returns its end, or -1. */
  read(bytes: Uint8Array, at: number, end: number): number {
    [this.bytes, this.end] = [bytes, end];
    this.starts.fill(-1);
    return visitMembers(bytes, at, end, this.visit);
  }

  /** Returns the position of the value of a key. */
  place(key: FactKey): [number, number] | undefined {
    const index = FACT_KEYS.indexOf(key);
    return this.starts[index] === -1 ? undefined : [this.starts[index], this.ends[index]];
  }

  /** Returns a string, or the text of another value but null, truncated to `max` bytes. */
  text(key: FactKey, max = 400): string | undefined {
    const index = FACT_KEYS.indexOf(key);
    const [at, end] = [this.starts[index], this.ends[index]];
    if (at === -1 || this.bytes[at] === NULL) return undefined;
    if (end - at <= max) return STRINGS.get(this.bytes, at, end);
    if (this.bytes[at] !== 0x22) return decode(this.bytes, at, at + max) + "…";
    const cut = decode(this.bytes, at + 1, at + max).replace(/\\[^\\]{0,5}$|\uFFFD+$/, "");
    return `${unescape(cut)}…`;
  }

  /** Returns a number. */
  number(key: FactKey): number | undefined {
    const place = this.place(key);
    return place && numberAt(this.bytes, place[0], place[1]);
  }

  /** Returns the known values of the object that is the value of `key`. */
  inner(key: FactKey): Facts | undefined {
    const place = this.place(key);
    return place && this.bytes[place[0]] === 0x7b ? new Facts(this.bytes, place[0], place[1]) : undefined;
  }

  /** Returns true if the value of `key` is `true`. */
  isTrue(key: FactKey): boolean {
    const at = this.starts[FACT_KEYS.indexOf(key)];
    return at !== -1 && this.bytes[at] === 0x74;
  }

  /** Returns the time of a row of `source` in milliseconds, or NaN. */
  time(source: string): number {
    if (source === "activity") return this.date("timestamp");
    const created = this.millis("createdAt");
    if (!Number.isNaN(created) || KNOWN_SOURCES.has(source)) return created;
    const stamped = this.date("timestamp");
    if (!Number.isNaN(stamped)) return stamped;
    for (const key of ["requestedAt", "decidedAt", "at"] as const) if (this.place(key) !== undefined) return this.millis(key);
    return NaN;
  }

  private millis(key: FactKey): number {
    return inRange(Math.trunc(this.number(key) ?? NaN));
  }

  private date(key: FactKey): number {
    const place = this.place(key);
    return place === undefined ? NaN : dateAt(this.bytes, place[0], place[1]);
  }
}

/** Reads the values of a row from its line, in one pass. Returns false if the line is not a row. */
export function readFacts(facts: Facts, bytes: Uint8Array, at: number, end: number): boolean {
  let isRow = false;
  const close = visitMembers(bytes, skipSpace(bytes, at, end), end, (keyAt, keyEnd, valueAt) => {
    if (ENVELOPE_KEYS.find(bytes, keyAt, keyEnd) !== "entry") return skipValue(bytes, valueAt, end);
    isRow = true;
    const objectEnd = facts.read(bytes, valueAt, end);
    return objectEnd === -1 ? skipValue(bytes, valueAt, end) : objectEnd;
  });
  return isRow && close !== -1;
}

const KNOWN_SOURCES = new Set(["runs", "decision_traces", "commit_issue_links"]);

function numberAt(bytes: Uint8Array, at: number, end: number): number | undefined {
  let value = 0;
  for (let i = at; i < end && end - at < 16; i++) {
    const digit = bytes[i] - 0x30;
    if (digit < 0 || digit > 9) break;
    if (i === end - 1) return value * 10 + digit;
    value = value * 10 + digit;
  }
  if (end - at > 400 || !(bytes[at] === 0x2d || (bytes[at] >= 0x30 && bytes[at] <= 0x39))) return undefined;
  return Number(decode(bytes, at, end));
}

const USUAL_FORM = "0000-00-00T00:00:00.000Z";

/** Parses `"2026-05-02T10:00:00.000Z"`, and other forms of RFC 3339 more slowly. */
function dateAt(bytes: Uint8Array, at: number, end: number): number {
  // The maximum length of a time in which every character is an escape of six bytes.
  if (end - at > 300) return NaN;
  const usual = end - at === USUAL_FORM.length + 2 && bytes[at] === 0x22 ? usualDateAt(bytes, at + 1) : NaN;
  return Number.isNaN(usual) ? parseTime(stringAt(bytes, at, end) ?? "") : usual;
}

function usualDateAt(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < USUAL_FORM.length; i++) {
    const expected = USUAL_FORM.charCodeAt(i);
    const byte = bytes[at + i];
    if (expected === 0x30 ? byte < 0x30 || byte > 0x39 : byte !== expected) return NaN;
  }
  const digits = (from: number, count: number) => {
    let value = 0;
    for (let i = from; i < from + count; i++) value = value * 10 + bytes[at + i] - 0x30;
    return value;
  };
  const [year, month, day, hour, minute, second] = [digits(0, 4), digits(5, 2), digits(8, 2), digits(11, 2), digits(14, 2), digits(17, 2)];
  const isTime = year >= 100 && year < 9999 && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
  return isTime && hour <= 23 && minute <= 59 && second <= 59 ? Date.UTC(year, month - 1, day, hour, minute, second, digits(20, 3)) : NaN;
}

/** Returns the state that a row records. */
export function stateOf(source: string, facts: Facts): string | undefined {
  if (source === "runs" && facts.isTrue("hadStepErrors") && facts.text("status", MAX_STATE_BYTES) === "done") return "done with errors";
  const state = facts.text("status", MAX_STATE_BYTES) ?? facts.text("outcome", MAX_STATE_BYTES) ?? facts.text("decision", MAX_STATE_BYTES);
  return state ?? (isApproval(facts) ? facts.inner("metadata")?.text("decision", MAX_STATE_BYTES) : undefined);
}

/** Returns true for a row of activity that records an approval. */
export function isApproval(facts: Facts): boolean {
  return facts.text("event", 60)?.includes("approval") === true;
}

/** Returns the tool or event of a row. */
export function toolOf(facts: Facts): string | undefined {
  return facts.text("tool", 80) ?? facts.text("event", 80) ?? facts.text("toolName", 80);
}
