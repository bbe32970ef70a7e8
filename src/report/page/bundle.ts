/** Opens a bundle: by its chunk table if that is right, otherwise by reading it from the start. */

import { combineCrc32, crc32, join, sha256 } from "./bytes.ts";
import { type Chunk, MAX_CHUNK_BYTES } from "./chunks.ts";
import { discard, inflateTexts, TextBuffer } from "./inflate.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { findMembers, MemberReader, TooManyMembers } from "./members.ts";
import { Pace } from "./pace.ts";

/** The reason why a file can't be shown, and what to do. */
export class BundleError extends Error {}

/** The reason why this page can't read a file that may be intact. */
export class LimitError extends BundleError {}

/** An open bundle. */
export interface Bundle {
  name: string;
  blob: Blob;
  manifest: Manifest;
  digest: string;
  chunks: Chunk[];
  /** The reason why the bundle was read from the start, if it was. */
  note?: string;
  /** The contradictions of the manifest. */
  problems: string[];
  /** The reason why the page stopped reading a bundle that may be intact, if it did. */
  limit?: string;
}

/** A page holds some twenty bytes for each row. */
const MAX_ROWS = 20_000_000;
/** Parsing a longer one can take a page more than five seconds, and gigabytes of memory. */
const MAX_MANIFEST_BYTES = 24 << 20;
const MAX_TEXT_BYTES = 4 * 2 ** 30;
const BLOCK_BYTES = 1 << 20;
const TAIL_BYTES = 10;
const LINE_FEED = 10;

/** Receives the fraction of a file that was read, from 0 to 1. */
export type Progress = (part: number) => void;

/** A file that does not inflate as one gzip member. */
class InflateError extends BundleError {}

const UNREAD = 'This bundle can\'t be read here: it has too many gzip members, or too much text. The program can: run "patchwork-traces verify FILE".';

/** Opens a bundle. `mustReadAll` ignores its chunk index. */
export async function openBundle(blob: Blob, name: string, progress: Progress, mustReadAll = false): Promise<Bundle> {
  const head = new Uint8Array(await blob.slice(0, 64).arrayBuffer());
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  refuseOthers(head, isGzip);
  const open = (members?: Blob[]) => openText({ blob, name, head, isGzip, members }, progress, mustReadAll);
  if (!isGzip) return open();
  const bundle = await open().catch((error: unknown) => {
    if (error instanceof InflateError) return error;
    throw error;
  });
  if (!(bundle instanceof Error) && bundle.problems.length === 0) return bundle;
  // Browsers inflate only one member. An intact bundle may have several, followed by zeros.
  try {
    const members = await findMembers(blob, new Pace());
    if (members !== undefined) return await open(members);
  } catch (error) {
    if (!(error instanceof TooManyMembers)) throw error;
    if (bundle instanceof Error) throw new LimitError(UNREAD);
    return { ...bundle, problems: [], limit: UNREAD };
  }
  if (bundle instanceof Error) throw bundle;
  return bundle;
}

interface BundleText {
  blob: Blob;
  name: string;
  head: Uint8Array;
  isGzip: boolean;
  /** The deflate data of its gzip members, if a browser can't tell them apart. */
  members: Blob[] | undefined;
}

async function openText(text: BundleText, progress: Progress, mustReadAll: boolean): Promise<Bundle> {
  const { blob, name, head, isGzip, members } = text;
  const line = await readManifestLine(isGzip ? textOf(text, progress) : blob.stream().getReader());
  const manifest = parseManifest(new TextDecoder().decode(line));
  const bundle = { name, blob, manifest, digest: await sha256(line), chunks: [], problems: [] };
  const index = isGzip && !mustReadAll && members === undefined ? await indexedChunks(blob, head, line, manifest) : undefined;
  if (index !== undefined && manifest.rows > MAX_ROWS) throw new LimitError("This bundle has more rows than a page can show. Use patchwork-traces cat.");
  if (index !== undefined) return { ...bundle, chunks: index };
  const note = isGzip
    ? manifest.minor === 0
      ? "This is a bundle of format 1.0: it has no hashes, so nothing proves its rows."
      : "The bundle has no usable chunk index (another program compressed it again), so it was read from the start."
    : "The bundle is plain text, so it was read from the start.";
  const read = await readAll(textOf(text, progress), line.length + 1, manifest);
  return { ...bundle, ...read, note };
}

/** Reads a bundle from the start because chunks weren't at their recorded offsets. Returns undefined if it is damaged. */
export async function reopenFromStart(bundle: Bundle, progress: Progress): Promise<Bundle | undefined> {
  const again = await openBundle(bundle.blob, bundle.name, progress, true);
  return again.problems.length === 0 ? again : undefined;
}

function refuseOthers(head: Uint8Array, isGzip: boolean) {
  const start = String.fromCharCode(...head);
  if (start.startsWith("age-encryption.org/") || start.startsWith("-----BEGIN AGE ENCRYPTED")) {
    throw new BundleError(
      "This bundle is encrypted with age. Decrypt it first, and open the result here: age -d -i KEY -o PLAIN.jsonl.gz FILE. Or make a report that has its rows: patchwork-traces report FILE -i KEY --embed -o report.html.",
    );
  }
  if (start.startsWith("PWTRACE")) {
    throw new BundleError(
      "This bundle is encrypted with a passphrase by Patchwork. Make a report that has its rows: patchwork-traces report FILE --embed -o report.html asks for the passphrase.",
    );
  }
  if (!isGzip && head[0] !== 0x7b) {
    throw new BundleError("This file is not a trace bundle: it is neither gzip nor JSON Lines.");
  }
}

type TextReader = Pick<ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>, "read" | "cancel">;

/** Returns a reader of the text of a bundle. */
function textOf({ blob, isGzip, members }: BundleText, progress: Progress): TextReader {
  if (members !== undefined) return new MemberReader(members);
  let done = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(part, controller) {
      done += part.length;
      progress(done / blob.size);
      controller.enqueue(part);
    },
  });
  const bytes = blob.stream().pipeThrough(counted);
  return (isGzip ? bytes.pipeThrough(new DecompressionStream("gzip")) : bytes).getReader();
}

async function readPart(reader: TextReader): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const { done, value } = await reader.read();
    return done ? undefined : value;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new InflateError(
      `The file does not inflate: ${detail.replace(/\.$/, "")}. Run "patchwork-traces verify FILE" for what is wrong; "recover" saves the intact rows of a damaged bundle.`,
    );
  }
}

async function readManifestLine(reader: TextReader): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const part = await readPart(reader);
      // The last LF of a bundle may be missing, and a bundle may have no rows.
      if (part === undefined && parts[0]?.[0] === 0x7b) return join(parts, length);
      if (part === undefined) throw new BundleError("This file is not a trace bundle: it does not begin with a manifest.");
      const end = part.indexOf(LINE_FEED);
      parts.push(end === -1 ? part : part.subarray(0, end));
      length += parts[parts.length - 1].length;
      if (length > MAX_MANIFEST_BYTES) throw new BundleError("The manifest of this bundle is too long for this page, or the file is no bundle: see patchwork-traces inspect.");
      if (end !== -1) return join(parts, length);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Returns the chunks at their recorded offsets, if the container is as FORMAT.md requires. */
async function indexedChunks(blob: Blob, head: Uint8Array, line: Uint8Array<ArrayBuffer>, manifest: Manifest) {
  const files = manifest.files;
  if (files.some((file) => file.rows > 0 && file.chunks.length === 0)) return undefined;
  if (head[2] !== 8 || head[3] !== 0) return undefined;
  const tail = new DataView(await blob.slice(-TAIL_BYTES).arrayBuffer());
  if (blob.size < 2 * TAIL_BYTES || tail.getUint16(0) !== 0x0300) return undefined;
  const entries = files.flatMap((file, index) => file.chunks.map((chunk) => ({ ...chunk, file: index })));
  const compressed = entries.reduce((sum, chunk) => sum + chunk.compressed, 0);
  const text = entries.reduce((sum, chunk) => sum + chunk.bytes, line.length + 1);
  const start = blob.size - TAIL_BYTES - compressed;
  if (start < TAIL_BYTES || text % 2 ** 32 !== tail.getUint32(6, true)) return undefined;
  const lineText = join([line, new Uint8Array([LINE_FEED])]);
  const checksum = crc32(lineText);
  const isThere = await inflateTexts(blob.slice(TAIL_BYTES, start), [lineText.length], new TextBuffer(), (_, found) => crc32(found) === checksum);
  if (!isThere) return undefined;
  const whole = entries.reduce((crc, chunk) => combineCrc32(crc, chunk.crc32, chunk.bytes), checksum);
  if (whole !== tail.getUint32(2, true)) return undefined;
  let at = start;
  let firstRow = 0;
  return entries.map((entry): Chunk => {
    const { file, rows, bytes } = entry;
    const chunk = { file, firstRow, rows, bytes, crc32: entry.crc32, at: { blob, start: at, end: at + entry.compressed } };
    at += entry.compressed;
    firstRow += rows;
    return chunk;
  });
}

/** Reads the rows of a text, and keeps them as chunks outside the page's own memory. */
async function readAll(reader: TextReader, skip: number, manifest: Manifest) {
  const collector = new Collector(manifest);
  const pace = new Pace();
  const declared = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const limit = Math.min(MAX_TEXT_BYTES, skip + declared * 7 + manifest.rows * 1024 + (64 << 20));
  let length = 0;
  try {
    for (let part = await readPart(reader); part !== undefined; part = await readPart(reader)) {
      length += part.length;
      if (length > limit) throw new BundleError("The file holds far more than its manifest says, so reading stopped.");
      const rest = Math.min(skip, part.length);
      skip -= rest;
      collector.add(part.subarray(rest));
      discard(part);
      await pace.rest();
    }
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    return collector.finish(`${error.message} What came before is shown.`, error instanceof LimitError);
  } finally {
    reader.cancel().catch(() => undefined);
  }
  return collector.finish();
}

/** Cuts rows into chunks of about a mebibyte, each of one log. */
class Collector {
  private readonly chunks: Chunk[] = [];
  private readonly problems: string[] = [];
  private parts: Uint8Array[] = [];
  private bytes = 0;
  private rows = 0;
  private file = 0;
  private rowsOfFile = 0;
  private firstRow = 0;
  private extraRows = 0;
  private isMidLine = false;

  constructor(private readonly manifest: Manifest) {}

  add(part: Uint8Array) {
    let start = 0;
    for (let at = part.indexOf(LINE_FEED); at !== -1; at = part.indexOf(LINE_FEED, at + 1)) {
      this.rows++;
      const isFull = this.bytes + at + 1 - start >= BLOCK_BYTES;
      if (isFull || this.rows + this.rowsOfFile >= this.rowsExpected()) {
        this.take(part.subarray(start, at + 1));
        start = at + 1;
        this.close();
      }
    }
    this.take(part.subarray(start));
    if (part.length > 0) this.isMidLine = part[part.length - 1] !== LINE_FEED;
    if (this.bytes > MAX_CHUNK_BYTES) throw new LimitError("A row is longer than this page can show. Use patchwork-traces cat.");
  }

  /** Returns the chunks. `failure` is the reason why the text ended early; `isLimit` means that it may be intact. */
  finish(failure?: string, isLimit = false) {
    if (failure !== undefined && !isLimit) this.problems.push(failure);
    if (this.isMidLine && failure !== undefined) this.dropLastLine();
    else if (this.isMidLine) this.rows++;
    this.close();
    const found = this.firstRow;
    if (found !== this.manifest.rows && !isLimit) this.problems.push(`The manifest declares ${this.manifest.rows} rows, but ${found} are there.`);
    if (this.extraRows > 0) this.problems.push(`${this.extraRows} lines follow the rows that the manifest declares.`);
    return { chunks: this.chunks, problems: this.problems, ...(isLimit ? { limit: failure } : {}) };
  }

  /** Drops a line that was cut off. */
  private dropLastLine() {
    const bytes = join(this.parts, this.bytes);
    this.bytes = bytes.lastIndexOf(LINE_FEED) + 1;
    this.parts = [bytes.subarray(0, this.bytes)];
  }

  private rowsExpected(): number {
    while (this.file < this.manifest.files.length && this.rowsOfFile >= this.manifest.files[this.file].rows) {
      this.file++;
      this.rowsOfFile = 0;
    }
    return this.manifest.files[this.file]?.rows ?? Infinity;
  }

  private take(part: Uint8Array) {
    if (part.length === 0) return;
    this.parts.push(part.slice());
    this.bytes += part.length;
  }

  private close() {
    if (this.rows === 0) return;
    this.rowsExpected();
    if (this.file < this.manifest.files.length) {
      const blob = new Blob([join(this.parts, this.bytes)]);
      const at = { blob, start: 0, end: blob.size };
      this.chunks.push({ file: this.file, firstRow: this.firstRow, rows: this.rows, bytes: this.bytes, at });
      this.firstRow += this.rows;
      this.rowsOfFile += this.rows;
    } else {
      this.extraRows += this.rows;
    }
    this.parts = [];
    this.bytes = 0;
    this.rows = 0;
  }
}
