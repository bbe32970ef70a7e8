/** Restores a log, and compares it with the SHA-256 in the manifest. */

import { fromBase64, sha256 } from "./bytes.ts";
import { ChunkError, TooLongError } from "./chunks.ts";
import type { Model } from "./model.ts";
import type { Pace } from "./pace.ts";
import { isEntryOfLine, readEnvelope, readOriginal } from "./row.ts";

/** Logs longer than this aren't checked: WebCrypto hashes only what is in memory at once. */
export const MAX_CHECKED_BYTES = 64 << 20;

/** The result of checking a log. */
export type LogCheck = "matches" | "differs" | "no hash" | "too long" | "unreadable";

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);
const LINE_FEED = new Uint8Array([10]);
const CARRIAGE_RETURN = new Uint8Array([13]);

/** Checks one log. */
export async function checkLog(model: Model, number: number, pace: Pace): Promise<LogCheck> {
  const file = model.files[number];
  if (file.sha256 === undefined || model.bundle.manifest.minor === 0) return "no hash";
  if (file.bytes > MAX_CHECKED_BYTES) return "too long";
  try {
    const log = await restoreLog(model, number, pace);
    return log !== undefined && (await sha256(log)) === file.sha256 ? "matches" : "differs";
  } catch (error) {
    if (error instanceof TooLongError) return "too long";
    if (error instanceof ChunkError) return "unreadable";
    throw error;
  }
}

/** Returns the bytes of a log, or undefined if their number contradicts the manifest, or a row contradicts its exact line. */
export async function restoreLog(model: Model, number: number, pace: Pace): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const file = model.files[number];
  const log = new LogBytes(file.bytes);
  let line = 1;
  let next = 0;
  const takeUnparsed = (isAll = false) => {
    while (next < file.unparsed.length && (isAll || file.unparsed[next].line <= line)) {
      const { text, bytes, lines } = file.unparsed[next++];
      log.line(text === undefined ? fromBase64(bytes ?? "") : encoder.encode(text));
      line += lines;
    }
  };
  for (const [index, chunk] of model.bundle.chunks.entries()) {
    if (chunk.file !== number) continue;
    const { bytes, lines } = await model.load(index);
    for (let i = 0; i < chunk.rows; i++) {
      takeUnparsed();
      const envelope = readEnvelope(bytes, lines[i], lines[i + 1] - 1);
      if (envelope === undefined) return undefined;
      if (envelope.originalAt === -1) {
        log.line(bytes.subarray(envelope.entryAt, envelope.entryEnd), file.isCrlf ? CARRIAGE_RETURN : undefined);
      } else {
        if (!isEntryOfLine(bytes, envelope)) return undefined;
        const exact = readOriginal(bytes, envelope.originalAt, envelope.originalEnd);
        log.line(exact && ("text" in exact ? encoder.encode(exact.text) : exact.bytes));
      }
      line++;
      if (i % 256 === 0) await pace.rest();
    }
  }
  takeUnparsed(true);
  return log.finish(file.hasFinalNewline);
}

/** Bytes that grow to a known length. */
class LogBytes {
  private readonly bytes: Uint8Array<ArrayBuffer>;
  private length = 0;
  private ending: Uint8Array | undefined;
  private isSound = true;

  constructor(expected: number) {
    this.bytes = new Uint8Array(expected);
  }

  /** Adds a line, and the bytes before its LF if it has one. */
  line(text: Uint8Array | undefined, ending = NOTHING) {
    if (this.ending !== undefined) this.endLine(this.ending);
    this.ending = ending;
    if (text === undefined) this.isSound = false;
    else this.push(text);
  }

  finish(hasFinalNewline: boolean): Uint8Array<ArrayBuffer> | undefined {
    if (this.ending !== undefined && hasFinalNewline) this.endLine(this.ending);
    return this.isSound && this.length === this.bytes.length ? this.bytes : undefined;
  }

  private endLine(ending: Uint8Array) {
    this.push(ending);
    this.push(LINE_FEED);
  }

  private push(part: Uint8Array) {
    if (this.length + part.length <= this.bytes.length) this.bytes.set(part, this.length);
    this.length += part.length;
  }
}

