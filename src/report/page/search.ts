/** Searches the text of rows, in the bytes of chunks. */

import { type Chunk, ChunkError, isRight, linesOf, type LoadedChunk, readChunk, readTogether } from "./chunks.ts";
import { rowColumn } from "./growable.ts";
import type { TextBuffer } from "./inflate.ts";
import { decode, unescape } from "./json.ts";
import { readEnvelope } from "./row.ts";

const BACKSLASH = 0x5c;

/** Finds a text in upper or lower case: in the JSON text of entries, and in that text without escapes. */
export class TextSearch {
  /** How far the text can move on where its last character meets a byte. */
  private readonly skips: Uint8Array | undefined;
  /** The text in lower case. */
  private readonly text: Uint8Array;
  private readonly pattern: RegExp;
  /** True if escapes other than `\uXXXX` can stand for a part of the text. */
  private readonly hasEscapes: boolean;

  constructor(text: string) {
    this.text = new TextEncoder().encode(text.toLowerCase());
    const isAscii = /^[\0-\x7f]+$/.test(text);
    // With `u`, pairs of surrogates have two cases, too, and some other letters are equal to an s or a k.
    this.pattern = new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), isAscii ? "gi" : "giu");
    this.hasEscapes = /["\\/\b\f\n\r\t]/.test(text);
    // Letters of other scripts have upper case of other lengths, so these are searched for in characters.
    if (isAscii) this.skips = skipsOf(this.text);
  }

  /** Returns the rows of a chunk whose entry has the text, counted from its first. */
  rowsOf(chunk: Chunk, bytes: Uint8Array): number[] {
    const rows = this.skips === undefined ? this.rowsByCharacters(chunk, bytes) : this.rowsByBytes(chunk, bytes, this.skips);
    const more = this.rowsWithoutEscapes(chunk, bytes, new Set(rows));
    return more.length === 0 ? rows : [...rows, ...more].sort((a, b) => a - b);
  }

  /** Returns the rows that have the text only without escapes. */
  private rowsWithoutEscapes(chunk: Chunk, bytes: Uint8Array, found: Set<number>): number[] {
    const rows: number[] = [];
    let loaded: LoadedChunk | undefined;
    let row = 0;
    for (let at = this.nextEscape(bytes, 0); at !== -1; ) {
      loaded ??= linesOf(chunk, bytes);
      while (loaded.lines[row + 1] <= at) row++;
      const envelope = found.has(row) ? undefined : readEnvelope(bytes, loaded.lines[row], loaded.lines[row + 1] - 1);
      if (envelope !== undefined && this.isIn(unescape(decode(bytes, envelope.entryAt, envelope.entryEnd)))) rows.push(row);
      at = this.nextEscape(bytes, loaded.lines[row + 1]);
    }
    return rows;
  }

  /** Returns where the next escape is that can stand for a part of the text, or -1. */
  private nextEscape(bytes: Uint8Array, from: number): number {
    let at = bytes.indexOf(BACKSLASH, from);
    while (!this.hasEscapes && at !== -1 && bytes[at + 1] !== 0x75) at = bytes.indexOf(BACKSLASH, at + 2);
    return at;
  }

  private isIn(text: string): boolean {
    this.pattern.lastIndex = 0;
    return this.pattern.test(text);
  }

  private rowsByBytes(chunk: Chunk, bytes: Uint8Array, skips: Uint8Array): number[] {
    const rows: number[] = [];
    let loaded: LoadedChunk | undefined;
    let row = 0;
    for (let at = this.next(bytes, 0, bytes.length, skips); at !== -1; ) {
      loaded ??= linesOf(chunk, bytes);
      while (loaded.lines[row + 1] <= at) row++;
      const envelope = readEnvelope(bytes, loaded.lines[row], loaded.lines[row + 1] - 1);
      // What the bundle puts around an entry is no match.
      if (envelope !== undefined && this.next(bytes, Math.max(at, envelope.entryAt), envelope.entryEnd, skips) !== -1) rows.push(row);
      at = this.next(bytes, loaded.lines[row + 1], bytes.length, skips);
    }
    return rows;
  }

  /** Returns where the text is next, as Horspool's algorithm finds it, or -1. */
  private next(bytes: Uint8Array, from: number, end: number, skips: Uint8Array): number {
    const { text } = this;
    const last = text.length - 1;
    for (let at = from + last; at < end; ) {
      const skip = skips[bytes[at]];
      if (skip !== 0) {
        at += skip;
        continue;
      }
      let i = last - 1;
      while (i >= 0 && lower(bytes[at - last + i]) === text[i]) i--;
      if (i < 0) return at - last;
      at++;
    }
    return -1;
  }

  private rowsByCharacters(chunk: Chunk, bytes: Uint8Array): number[] {
    const { pattern } = this;
    const rows: number[] = [];
    const text = decode(bytes, 0, bytes.length);
    let loaded: LoadedChunk | undefined;
    let row = 0;
    let lineEnd = text.indexOf("\n");
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      loaded ??= linesOf(chunk, bytes);
      for (; lineEnd !== -1 && lineEnd < match.index; row++) lineEnd = text.indexOf("\n", lineEnd + 1);
      const envelope = readEnvelope(bytes, loaded.lines[row], loaded.lines[row + 1] - 1);
      if (envelope !== undefined && this.isIn(decode(bytes, envelope.entryAt, envelope.entryEnd))) rows.push(row);
      if (lineEnd === -1) break;
      pattern.lastIndex = lineEnd + 1;
    }
    return rows;
  }
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

function skipsOf(text: Uint8Array): Uint8Array {
  const most = Math.min(255, text.length);
  const skips = new Uint8Array(256).fill(most);
  for (const [i, byte] of text.entries()) {
    const skip = Math.min(most, text.length - 1 - i);
    skips[byte] = skip;
    if (byte >= 0x61 && byte <= 0x7a) skips[byte - 0x20] = skip;
  }
  return skips;
}

/** What a search found. */
export interface Found {
  rows: Uint32Array<ArrayBuffer>;
  /** How many rows are in chunks that can't be read. */
  unread: number;
}

/** Finds the rows of consecutive chunks whose entry has the text. */
export async function searchChunks(chunks: Chunk[], search: TextSearch, buffer: TextBuffer): Promise<Found> {
  const found = rowColumn();
  const add = (chunk: Chunk, bytes: Uint8Array) => {
    const rows = search.rowsOf(chunk, bytes);
    // Checking all would take a third of the time. A chunk without a match is checked when it is indexed.
    if (rows.length > 0 && !isRight(chunk, bytes)) throw new ChunkError("a chunk does not match its checksum");
    for (const row of rows) found.push(chunk.firstRow + row);
  };
  let next = await readTogether(chunks, buffer, (chunk, bytes) => isDone(() => add(chunk, bytes)));
  let unread = 0;
  for (; next < chunks.length; next++) {
    const bytes = chunks[next].isUnreadable === true ? undefined : await readChunk(chunks[next], buffer).catch(ofChunk);
    if (bytes === undefined || !isDone(() => add(chunks[next], bytes))) unread += chunks[next].rows;
  }
  return { rows: found.values().slice(), unread };
}

/** Returns true if `act` finds nothing wrong with a chunk. */
function isDone(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    ofChunk(error);
    return false;
  }
}

function ofChunk(error: unknown): undefined {
  if (!(error instanceof ChunkError)) throw error;
  return undefined;
}
