/** The exact lines of a log, as a bundle keeps them. */

import { fromBase64 } from "./bytes.ts";
import type { UnparsedLines } from "./manifest.ts";

/** The exact line of a row, or lines that are not rows: text, or bytes if they are not text. */
export type ExactLine = { text: string } | { bytes: Uint8Array<ArrayBuffer> };

/** Returns the content of lines that are not rows. */
export function exactOf({ text, bytes }: UnparsedLines): ExactLine {
  return text === undefined ? { bytes: fromBase64(bytes ?? "") ?? new Uint8Array(0) } : { text };
}

/** Returns text to show: where bytes are not valid UTF-8, each that is not ASCII as `\xNN`. */
export function textOf(exact: ExactLine): string {
  if ("text" in exact) return exact.text;
  const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return fatal.decode(exact.bytes);
  } catch {
    return Array.from(exact.bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`)).join("");
  }
}
