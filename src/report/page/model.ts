/** The rows of an open bundle. Holds a few numbers for each row; the text stays compressed until it is shown. */

import type { Bundle } from "./bundle.ts";
import { type Chunk, ChunkError, groups, isRight, linesIn, linesOf, type LoadedChunk, readChunk, readTogether, TooLongError } from "./chunks.ts";
import { Decisions } from "./decisions.ts";
import { Dictionary } from "./growable.ts";
import { TextBuffer } from "./inflate.ts";
import type { LogFile } from "./manifest.ts";
import { Pace } from "./pace.ts";
import { Facts, readEnvelope, readFacts, type RowText, stateOf, toolOf } from "./row.ts";
import { Runs } from "./runs.ts";

/** Bundles with less text than this stay in memory. */
const SMALL_BYTES = 32 << 20;
/** The amount of text of a larger bundle that stays in memory. */
const CACHE_BYTES = 12 << 20;

/** The rows of a bundle. */
export class Model {
  readonly rows: number;
  readonly files: LogFile[];
  readonly times: Float64Array<ArrayBuffer>;
  readonly durations: Float64Array<ArrayBuffer>;
  readonly states: Uint8Array<ArrayBuffer>;
  readonly tools: Uint16Array<ArrayBuffer>;
  readonly stateNames = new Dictionary(255);
  readonly toolNames = new Dictionary(2000);
  readonly runs: Runs;
  readonly decisions = new Decisions();
  /** Rows before this one are indexed. */
  indexed = 0;
  /** Rows of chunks that are damaged. */
  unreadable = 0;
  /** Rows of chunks that are too long for a page. */
  tooLong = 0;
  /** True if a chunk isn't at its recorded offset. */
  isMisplaced = false;
  /** True if all chunks stay in memory once they are read. */
  readonly isSmall: boolean;
  private readonly firstRows: Uint32Array<ArrayBuffer>;
  private readonly cache = new Map<number, LoadedChunk>();
  private readonly loading = new Map<number, Promise<LoadedChunk>>();
  private readonly pace = new Pace();
  private cachedBytes = 0;
  private searches = 0;

  constructor(readonly bundle: Bundle) {
    this.files = bundle.manifest.files;
    this.rows = bundle.chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
    this.times = new Float64Array(this.rows).fill(NaN);
    this.durations = new Float64Array(this.rows).fill(NaN);
    this.states = new Uint8Array(this.rows);
    this.tools = new Uint16Array(this.rows);
    this.runs = new Runs(this.rows);
    this.isSmall = bundle.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0) <= SMALL_BYTES;
    this.firstRows = Uint32Array.from(bundle.chunks, (chunk) => chunk.firstRow);
  }

  /** Returns true if every row is indexed. */
  get isIndexed(): boolean {
    return this.indexed === this.rows;
  }

  /** Returns the number of the chunk that holds a row. */
  chunkOf(row: number): number {
    let low = 0;
    let high = this.firstRows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.firstRows[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Returns the log that holds a row. */
  fileOf(row: number): LogFile {
    return this.files[this.bundle.chunks[this.chunkOf(row)].file];
  }

  /** Returns the line of its log that a row is on. */
  lineOf(row: number): number {
    const file = this.bundle.chunks[this.chunkOf(row)].file;
    const first = this.bundle.chunks.find((chunk) => chunk.file === file)?.firstRow ?? 0;
    let line = row - first + 1;
    for (const unparsed of this.files[file].unparsed) {
      if (unparsed.line > line) break;
      line += unparsed.lines;
    }
    return line;
  }

  /** Returns a chunk's text, from the cache or inflated. */
  async load(number: number): Promise<LoadedChunk> {
    const cached = this.cache.get(number);
    if (cached !== undefined) {
      this.cache.delete(number);
      this.cache.set(number, cached);
      return cached;
    }
    const pending = this.loading.get(number) ?? this.inflate(number).finally(() => this.loading.delete(number));
    this.loading.set(number, pending);
    return pending;
  }

  /** Returns a chunk's text for as long as nothing else is read into `buffer`. Small bundles are kept instead. */
  async scan(number: number, buffer: TextBuffer): Promise<LoadedChunk> {
    if (this.isSmall) return this.load(number);
    const cached = this.cache.get(number);
    if (cached !== undefined) return cached;
    const chunk = this.bundle.chunks[number];
    return linesOf(chunk, await readChunk(chunk, buffer));
  }

  private async inflate(number: number): Promise<LoadedChunk> {
    const chunk = this.bundle.chunks[number];
    const loaded = linesOf(chunk, await readChunk(chunk));
    const { bytes } = loaded;
    this.cache.set(number, loaded);
    this.cachedBytes += bytes.length;
    for (const [old, entry] of this.cache) {
      if (this.cachedBytes <= (this.isSmall ? SMALL_BYTES : CACHE_BYTES) || old === number) break;
      this.cache.delete(old);
      this.cachedBytes -= entry.bytes.length;
    }
    return loaded;
  }

  /** Returns a row's text if its chunk is loaded. */
  peek(row: number): RowText | undefined {
    const loaded = this.cache.get(this.chunkOf(row));
    return loaded && textIn(loaded, row);
  }

  /** Returns a row's text. */
  async text(row: number): Promise<RowText | undefined> {
    return textIn(await this.load(this.chunkOf(row)), row);
  }

  /** Indexes all rows, in order. Calls `report` after each chunk. Waits while a search runs. */
  async index(report: () => void): Promise<void> {
    const buffer = new TextBuffer();
    const done = (chunk: Chunk) => {
      this.indexed = chunk.firstRow + chunk.rows;
      report();
      return this.pace.rest();
    };
    let number = 0;
    for (const group of groups(this.bundle.chunks)) {
      while (this.searches > 0) await new Promise((resolve) => setTimeout(resolve, 30));
      const end = number + group.length;
      if (!this.isSmall) number += await this.indexTogether(group, buffer, done);
      for (; number < end; number++) {
        await this.indexAlone(number, buffer);
        await done(this.bundle.chunks[number]);
      }
    }
  }

  /** Indexes chunks at once, and returns their number. The next one has a fault. */
  private indexTogether(group: Chunk[], buffer: TextBuffer, done: (chunk: Chunk) => Promise<void>): Promise<number> {
    return readTogether(group, buffer, async (chunk, bytes) => {
      const loaded = isRight(chunk, bytes) ? linesIn(chunk, bytes) : undefined;
      if (loaded === undefined) return false;
      await this.indexChunk(loaded);
      await done(chunk);
      return true;
    });
  }

  /** Indexes one chunk, or counts its rows as unreadable. */
  private async indexAlone(number: number, buffer: TextBuffer) {
    const chunk = this.bundle.chunks[number];
    try {
      await this.indexChunk(await this.scan(number, buffer));
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      chunk.isUnreadable = true;
      if (error instanceof TooLongError) this.tooLong += chunk.rows;
      else this.unreadable += chunk.rows;
      this.isMisplaced ||= chunk.crc32 !== undefined && !(error instanceof TooLongError);
    }
  }

  /** Stops the background work, because another bundle replaces this one. */
  close() {
    this.pace.cancel();
    this.cache.clear();
  }

  /** Runs a search while indexing waits. */
  async whileIndexWaits<T>(search: () => Promise<T>): Promise<T> {
    this.searches++;
    try {
      return await search();
    } finally {
      this.searches--;
    }
  }

  private async indexChunk(loaded: LoadedChunk) {
    const { source } = this.files[loaded.chunk.file];
    const facts = new Facts();
    const { bytes, lines } = loaded;
    for (let i = 0; i < loaded.chunk.rows; i++) {
      if (readFacts(facts, bytes, lines[i], lines[i + 1] - 1)) this.indexRow(loaded.chunk.firstRow + i, source, facts, bytes);
      if (i % 64 === 0) await this.pace.rest();
    }
  }

  private indexRow(row: number, source: string, facts: Facts, bytes: Uint8Array) {
    this.times[row] = facts.time(source);
    const duration = facts.number("durationMs") ?? NaN;
    this.durations[row] = Number.isFinite(duration) ? duration : NaN;
    this.states[row] = this.stateNames.code(stateOf(source, facts));
    this.tools[row] = this.toolNames.code(toolOf(facts));
    if (source === "runs" || source === "run_steps") this.runs.add(row, source, facts, bytes, this.times[row], this.states[row]);
    else this.decisions.add(row, source, facts);
  }
}

function textIn({ chunk, bytes, lines }: LoadedChunk, row: number): RowText | undefined {
  const index = row - chunk.firstRow;
  const envelope = readEnvelope(bytes, lines[index], lines[index + 1] - 1);
  return envelope && { bytes, ...envelope };
}
