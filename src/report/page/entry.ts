/** Derives the entry of a line, as FORMAT.md defines it ("Entry"). */

import type { ExactLine } from "./exact.ts";

const ESCAPES = /\\(?:u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|u[Dd][89A-Fa-f][0-9A-Fa-f]{2}|[^])/g;
const HALF_LENGTH = "\\ud800".length;
const CUTS: Record<string, string> = { "\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029", "\r": " " };

/** Returns the text of the entry that a writer derives from a row. */
export function entryOf(line: ExactLine): string {
  const text = "text" in line ? line.text : new TextDecoder("utf-8", { ignoreBOM: true }).decode(line.bytes);
  return text
    .trim()
    .replace(ESCAPES, (escape) => (escape.length === HALF_LENGTH ? "\ufffd" : escape))
    .replace(/[\u0085\u2028\u2029\r]/g, (cut) => CUTS[cut]);
}
