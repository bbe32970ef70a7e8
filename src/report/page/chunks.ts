/** Chunks: consecutive rows of one log, read one at a time or many at once, and checked. */

import { crc32 } from "./bytes.ts";
import { type Deflated, inflateTexts, readAll, TextBuffer } from "./inflate.ts";

/** A chunk that isn't at its recorded offset, or contradicts the manifest. */
export class ChunkError extends Error {}

/** A chunk that is too long for a page. */
export class TooLongError extends ChunkError {}

/** A byte range of a file. */
export interface FilePart {
  blob: Blob;
  /** The offset of its first byte. */
  start: number;
  /** The offset after its last byte. */
  end: number;
}

/** Consecutive rows of one log. */
export interface Chunk {
  file: number;
  firstRow: number;
  rows: number;
  bytes: number;
  /** The chunk, compressed or not, in the file or in memory. */
  at: FilePart | Uint8Array<ArrayBuffer>;
  /** The checksum of its lines, if they are compressed. */
  crc32?: number;
  /** True once the checksum has been verified. */
  isChecked?: boolean;
  /** True once the chunk is known to contradict the manifest, or to be too long. */
  isUnreadable?: boolean;
}

/** An inflated chunk and the offsets of its lines. */
export interface LoadedChunk {
  chunk: Chunk;
  bytes: Uint8Array;
  lines: Uint32Array<ArrayBuffer>;
}

/** Chunks longer than this aren't read: a page has little memory. */
export const MAX_CHUNK_BYTES = 64 << 20;
const GROUP_BYTES = 8 << 20;

/** Reads the lines of a chunk, checked, into a buffer if there is one. */
export async function readChunk(chunk: Chunk, buffer = new TextBuffer()): Promise<Uint8Array> {
  if (chunk.bytes > MAX_CHUNK_BYTES) throw new TooLongError("the rows are too long for this page; use patchwork-traces cat");
  if (chunk.crc32 === undefined) return chunk.at instanceof Uint8Array ? chunk.at : readAll(fileSlice([chunk.at]));
  let lines: Uint8Array | undefined;
  const isWhole = await inflateTexts(deflated([chunk]), [chunk.bytes], buffer, (_, bytes) => (lines = bytes) !== undefined);
  if (lines === undefined || !isWhole || !isRight(chunk, lines)) throw new ChunkError("a chunk does not match its checksum");
  return lines;
}

/** Returns true if the lines of a chunk have its checksum. */
export function isRight(chunk: Chunk, lines: Uint8Array): boolean {
  if (chunk.crc32 === undefined || chunk.isChecked === true) return true;
  chunk.isChecked = crc32(lines) === chunk.crc32;
  return chunk.isChecked;
}

/**
 * Reads the chunks of a group at once, which takes less time and memory than reading each. Calls `visit` with each; its lines are not
 * checked yet. Returns the number of chunks that it read: where that ends, a chunk can't be read so, or `visit` returned false.
 */
export async function readTogether(chunks: Chunk[], buffer: TextBuffer, visit: (chunk: Chunk, lines: Uint8Array) => boolean | Promise<boolean>): Promise<number> {
  let read = 0;
  if (!chunks.every(isGrouped)) return 0;
  const take = async (index: number, bytes: Uint8Array) => {
    if (!(await visit(chunks[index], bytes))) return false;
    read++;
    return true;
  };
  await inflateTexts(deflated(chunks), chunks.map(({ bytes }) => bytes), buffer, take);
  return read;
}

/** Returns the deflate blocks of adjacent chunks, in the file or in memory. */
function deflated(chunks: Chunk[]): Deflated {
  const inMemory = chunks.map(({ at }) => at).filter((at) => at instanceof Uint8Array);
  return inMemory.length === chunks.length ? inMemory : fileSlice(inFile(chunks));
}

function inFile(chunks: Chunk[]): FilePart[] {
  return chunks.map(({ at }) => at).filter((at): at is FilePart => !(at instanceof Uint8Array));
}

/** Joins adjacent parts of a file, because reading a blob of many parts takes four times as long. */
function fileSlice(parts: FilePart[]): Blob {
  return parts[0].blob.slice(parts[0].start, parts[parts.length - 1].end);
}

/** Reads chunks of a group into memory, still compressed, for a worker, because not every browser lets a worker read files. */
export async function copyChunks(chunks: Chunk[]): Promise<Chunk[]> {
  const bytes = await readAll(fileSlice(inFile(chunks)));
  let start = 0;
  return chunks.map((chunk) => ({ ...chunk, at: bytes.subarray(start, (start += sizeOf(chunk))) }));
}

/** Returns the length of a chunk in the file. */
export function sizeOf({ at }: Chunk): number {
  return at instanceof Uint8Array ? at.length : at.end - at.start;
}

/** Groups chunks that are read at once: adjacent ones in the file, up to a few megabytes. */
export function* groups(chunks: Chunk[]): Generator<Chunk[]> {
  let group: Chunk[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    const last = group.at(-1);
    const isNext = last === undefined || (isBefore(last, chunk) && isGrouped(last) && isGrouped(chunk));
    if (!isNext || (last !== undefined && bytes + chunk.bytes > GROUP_BYTES)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(chunk);
    bytes += chunk.bytes;
  }
  if (group.length > 0) yield group;
}

function isBefore({ at: first }: Chunk, { at: second }: Chunk): boolean {
  return !(first instanceof Uint8Array) && !(second instanceof Uint8Array) && first.blob === second.blob && first.end === second.start;
}

function isGrouped(chunk: Chunk): boolean {
  return chunk.crc32 !== undefined && chunk.bytes <= MAX_CHUNK_BYTES && chunk.isUnreadable !== true;
}

/** Finds the lines of a chunk. */
export function linesOf(chunk: Chunk, bytes: Uint8Array): LoadedChunk {
  const loaded = linesIn(chunk, bytes);
  if (loaded === undefined) throw new ChunkError("a chunk does not hold as many rows as the manifest says");
  return loaded;
}

/** Finds the lines of a chunk. Returns undefined if their number contradicts the manifest. */
export function linesIn(chunk: Chunk, bytes: Uint8Array): LoadedChunk | undefined {
  const lines = new Uint32Array(chunk.rows + 1);
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    at = end === -1 ? bytes.length + 1 : end + 1;
    if (++count > chunk.rows) break;
    lines[count] = at;
  }
  return count === chunk.rows ? { chunk, bytes, lines } : undefined;
}
