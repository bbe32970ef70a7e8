/** Searches the text of rows, in the bytes of chunks. */

import { type Chunk, ChunkError, isRight, linesOf, type LoadedChunk, readChunk, readTogether } from "./chunks.ts";
import { rowColumn } from "./growable.ts";
import type { TextBuffer } from "./inflate.ts";
import { decode, unescape } from "./json.ts";
import { readEnvelope } from "./row.ts";

const BACKSLASH = 0x5c;

/** Finds an ASCII text in upper or lower case in bytes, by Horspool's algorithm. */
class ByteSearch {
  private readonly text: Uint8Array;
  /** The distance that the text can be shifted for each byte at its last character. */
  private readonly skips: Uint8Array;

  constructor(text: string) {
    this.text = new TextEncoder().encode(text.toLowerCase());
    this.skips = skipsOf(this.text);
  }

  /** Returns the next position of the text, or -1. */
  next(bytes: Uint8Array, from: number, end = bytes.length): number {
    const { text, skips } = this;
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
}

/** Finds a text in upper or lower case: in the JSON text of entries, and in that text with its escapes decoded. */
export class TextSearch {
  private readonly pattern: RegExp;
  private readonly inBytes: ByteSearch | undefined;
  /** True if escapes other than `\uXXXX` can encode a part of the text. */
  private readonly hasEscapes: boolean;
  /** A part of the text that only `\uXXXX` escapes can encode. */
  private readonly plainPart: ByteSearch | undefined;

  constructor(text: string) {
    const isAscii = /^[\0-\x7f]+$/.test(text);
    // With `u`, pairs of surrogates have two cases, too, and some other letters are equal to an s or a k.
    this.pattern = new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), isAscii ? "gi" : "giu");
    this.hasEscapes = /["\\/\b\f\n\r\t]/.test(text);
    // Letters of other scripts have upper case of other lengths, so these are searched for in characters.
    if (!isAscii) return;
    this.inBytes = new ByteSearch(text);
    const parts = text.split(/["\\/\0-\x1f\x7f]/).sort((a, b) => b.length - a.length);
    if (parts[0] !== "") this.plainPart = new ByteSearch(parts[0]);
  }

  /** Returns the rows of a chunk whose entry has the text, counted from its first. */
  rowsOf(chunk: Chunk, bytes: Uint8Array): number[] {
    const rows = this.inBytes === undefined ? this.rowsByCharacters(chunk, bytes) : this.rowsByBytes(chunk, bytes, this.inBytes);
    if (!bytes.includes(BACKSLASH)) return rows;
    const found = new Set(rows);
    this.addWithoutEscapes(chunk, bytes, found, (from) => nextUnicodeEscape(bytes, from));
    if (this.hasEscapes) {
      const { plainPart } = this;
      this.addWithoutEscapes(chunk, bytes, found, (from) => (plainPart === undefined ? bytes.indexOf(BACKSLASH, from) : plainPart.next(bytes, from)));
    }
    return found.size === rows.length ? rows : [...found].sort((a, b) => a - b);
  }

  /** Adds the rows that have the text after decoding. `next` returns the position of the next candidate, or -1. */
  private addWithoutEscapes(chunk: Chunk, bytes: Uint8Array, found: Set<number>, next: (from: number) => number) {
    let loaded: LoadedChunk | undefined;
    let row = 0;
    for (let at = next(0); at !== -1; at = next(loaded.lines[row + 1])) {
      loaded ??= linesOf(chunk, bytes);
      while (loaded.lines[row + 1] <= at) row++;
      const envelope = found.has(row) ? undefined : readEnvelope(bytes, loaded.lines[row], loaded.lines[row + 1] - 1);
      if (envelope === undefined) continue;
      const text = decode(bytes, envelope.entryAt, envelope.entryEnd);
      if (text.includes("\\") && this.isIn(unescape(text))) found.add(row);
    }
  }

  private isIn(text: string): boolean {
    this.pattern.lastIndex = 0;
    return this.pattern.test(text);
  }

  private rowsByBytes(chunk: Chunk, bytes: Uint8Array, search: ByteSearch): number[] {
    const rows: number[] = [];
    let loaded: LoadedChunk | undefined;
    let row = 0;
    for (let at = search.next(bytes, 0); at !== -1; ) {
      loaded ??= linesOf(chunk, bytes);
      while (loaded.lines[row + 1] <= at) row++;
      const envelope = readEnvelope(bytes, loaded.lines[row], loaded.lines[row + 1] - 1);
      // Text around the entry does not match.
      if (envelope !== undefined && search.next(bytes, Math.max(at, envelope.entryAt), envelope.entryEnd) !== -1) rows.push(row);
      at = search.next(bytes, loaded.lines[row + 1]);
    }
    return rows;
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

/** Returns the position of the next `\uXXXX`, or -1. */
function nextUnicodeEscape(bytes: Uint8Array, from: number): number {
  let at = bytes.indexOf(BACKSLASH, from);
  while (at !== -1 && bytes[at + 1] !== 0x75) at = bytes.indexOf(BACKSLASH, at + 2);
  return at;
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

/** The result of a search. */
export interface Found {
  rows: Uint32Array<ArrayBuffer>;
  /** The number of rows in chunks that can't be read. */
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

/** Returns true if `act` finds no fault in a chunk. */
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
