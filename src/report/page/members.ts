/** Finds the members of a gzip file, and zeros after the last one, because browsers inflate only a single member. */

import { combineCrc32, crc32 } from "./bytes.ts";
import { discard } from "./inflate.ts";
import type { Pace } from "./pace.ts";

/** The reason why the members can't be separated. */
export class TooManyMembers extends Error {}

const BLOCK_BYTES = 1 << 20;
const MAX_HEADER_BYTES = 1 << 16;
const MAX_HEADS = 20_000;
const MAX_FAILURES = 40;
const MAX_TEXT_BYTES = 2 ** 31;
const TRAILER_BYTES = 8;
/** The number of bytes at the end of a member that may be zero: its checksum and its length. */
const MAX_OWN_ZEROS = 8;

/** Returns the checked deflate data of each member, or undefined if the file has anything but members and zeros. */
export async function findMembers(blob: Blob, pace: Pace): Promise<Blob[] | undefined> {
  const { heads, textEnd } = await scan(blob, pace);
  const lastEnds = Array.from({ length: MAX_OWN_ZEROS + 1 }, (_, i) => textEnd + i).filter((end) => end <= blob.size);
  const found: Blob[] = [];
  const budget = { left: MAX_TEXT_BYTES };
  let failures = 0;
  for (let at = 0; ; ) {
    const header = await headerLength(blob.slice(at, at + MAX_HEADER_BYTES));
    if (header === undefined) return undefined;
    let end: number | undefined;
    for (const candidate of ends(heads, lastEnds, at + header + TRAILER_BYTES + 2)) {
      const data = blob.slice(at + header, candidate - TRAILER_BYTES);
      const text = await measure(data, budget, pace);
      const trailer = new DataView(await blob.slice(candidate - TRAILER_BYTES, candidate).arrayBuffer());
      if (text !== undefined && text.crc === trailer.getUint32(0, true) && text.length % 2 ** 32 === trailer.getUint32(4, true)) {
        found.push(data);
        end = candidate;
        break;
      }
      // Compressed data can look like a member header.
      if (++failures > MAX_FAILURES) return undefined;
    }
    if (end === undefined) return undefined;
    if (end >= textEnd && !heads.includes(end)) return found;
    at = end;
  }
}

/** Returns the possible ends of a member that begins before `least`. */
function* ends(heads: number[], lastEnds: number[], least: number): Generator<number> {
  for (let i = firstFrom(heads, least); i < heads.length; i++) yield heads[i];
  for (const end of lastEnds) if (end >= least) yield end;
}

function firstFrom(heads: number[], least: number): number {
  let low = 0;
  for (let high = heads.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (heads[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Finds possible member headers, and the start of the zeros at the end. */
async function scan(blob: Blob, pace: Pace) {
  const heads: number[] = [];
  let textEnd = 0;
  for (let start = 0; start < blob.size; start += BLOCK_BYTES) {
    const bytes = new Uint8Array(await blob.slice(start, start + BLOCK_BYTES + 3).arrayBuffer());
    for (let at = bytes.indexOf(0x1f); at !== -1 && at < BLOCK_BYTES; at = bytes.indexOf(0x1f, at + 1)) {
      if (bytes[at + 1] === 0x8b && bytes[at + 2] === 8 && bytes[at + 3] < 0x20) heads.push(start + at);
    }
    if (heads.length > MAX_HEADS) throw new TooManyMembers();
    let last = bytes.length;
    while (last > 0 && bytes[last - 1] === 0) last--;
    if (last > 0) textEnd = start + last;
    await pace.rest();
  }
  return { heads, textEnd };
}

/** Returns the length of the header of a member. */
async function headerLength(start: Blob): Promise<number | undefined> {
  const bytes = new Uint8Array(await start.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8) return undefined;
  const flags = bytes[3];
  let at = 10;
  if (flags & 4) at += 2 + bytes[at] + 256 * bytes[at + 1];
  for (const flag of [8, 16]) {
    if (!(flags & flag)) continue;
    const end = bytes.indexOf(0, at);
    if (end === -1) return undefined;
    at = end + 1;
  }
  if (flags & 2) at += 2;
  return at < bytes.length ? at : undefined;
}

/** Returns the checksum and the length of deflated text, or undefined if it does not inflate. */
async function measure(data: Blob, budget: { left: number }, pace: Pace): Promise<{ crc: number; length: number } | undefined> {
  const reader = data.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  let [crc, length] = [0, 0];
  try {
    for (;;) {
      const part = await reader.read().catch(() => undefined);
      if (part === undefined) return undefined;
      if (part.done) return { crc, length };
      crc = combineCrc32(crc, crc32(part.value), part.value.length);
      length += part.value.length;
      budget.left -= part.value.length;
      discard(part.value);
      if (budget.left < 0) throw new TooManyMembers();
      await pace.rest();
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Reads the text of members, one after the other. */
export class MemberReader {
  private reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  private next = 0;

  constructor(private readonly members: Blob[]) {}

  async read(): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
    for (;;) {
      if (this.reader === undefined) {
        if (this.next === this.members.length) return { done: true, value: undefined };
        this.reader = this.members[this.next++].stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
      }
      const part = await this.reader.read();
      if (!part.done) return part;
      this.reader = undefined;
    }
  }

  async cancel(): Promise<void> {
    this.next = this.members.length;
    await this.reader?.cancel();
  }
}
