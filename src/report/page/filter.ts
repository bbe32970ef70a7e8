/** Finds rows: by log, time, state and tool from the index, by text in the chunks. */

import { type Chunk, ChunkError, groups, MAX_CHUNK_BYTES, sizeOf } from "./chunks.ts";
import { rowColumn, sortByKey } from "./growable.ts";
import { TextBuffer } from "./inflate.ts";
import type { Model } from "./model.ts";
import type { Pace } from "./pace.ts";
import { ALL_TIME, isIn, isLimited, type Range } from "./range.ts";
import { type Found, searchChunks, TextSearch } from "./search.ts";
import { giveUpWorkers, type SearchWorkers, withWorkers, WorkerError } from "./workers.ts";

/** The orders in which rows can be listed. */
export type Order = "log" | "oldest" | "newest" | "longest";

/** The rows to list. */
export interface Filter {
  text: string;
  source: string;
  state: string;
  tool: string;
  range: Range;
  order: Order;
}

/** The filter that every row passes. */
export const ALL_ROWS: Filter = { text: "", source: "", state: "", tool: "", range: ALL_TIME, order: "log" };

/** Returns true if the filter needs more than the manifest records about rows. */
export function needsIndex(filter: Filter): boolean {
  return filter.state !== "" || filter.tool !== "" || isLimited(filter.range) || filter.order !== "log";
}

/** Receives the rows found so far, in log order, and the fraction of all rows that was searched, up to 1. */
type Report = (found: Found, part: number) => void;

/** Returns the matching rows, in the requested order. Calls `report` with those found so far. */
export async function findRows(model: Model, filter: Filter, pace: Pace, report: Report): Promise<Uint32Array<ArrayBuffer>> {
  const rows = filter.text === "" ? await rowsOfIndex(model, filter, pace, report) : await rowsWithText(model, filter, pace, report);
  if (filter.order === "log") return rows;
  return sortByKey(rows, filter.order === "longest" ? model.durations : model.times, filter.order !== "oldest");
}

async function rowsOfIndex(model: Model, filter: Filter, pace: Pace, report: Report): Promise<Uint32Array<ArrayBuffer>> {
  const found = rowColumn();
  const test = rowTest(model, filter);
  let unread = 0;
  for (const chunk of model.bundle.chunks) {
    if (!isOfSource(model, filter, chunk)) continue;
    if (chunk.isUnreadable === true) unread += chunk.rows;
    for (let row = chunk.firstRow; row < chunk.firstRow + chunk.rows; row++) if (test(row)) found.push(row);
    await pace.rest();
  }
  report({ rows: found.values(), unread }, 1);
  return found.values().slice();
}

async function rowsWithText(model: Model, filter: Filter, pace: Pace, report: Report): Promise<Uint32Array<ArrayBuffer>> {
  const test = rowTest(model, filter);
  const numbers = [...model.bundle.chunks.keys()].filter((number) => {
    const chunk = model.bundle.chunks[number];
    return isOfSource(model, filter, chunk) && (chunk.isUnreadable === true || hasCandidate(chunk.firstRow, chunk.rows, test));
  });
  const found = rowColumn();
  let unread = 0;
  const take = (part: Found, done: number) => {
    const before = found.length;
    for (const row of part.rows) if (test(row)) found.push(row);
    unread += part.unread;
    if (found.length > before || done % 16 === 0 || done === numbers.length) report({ rows: found.values(), unread }, done / numbers.length);
    return pace.rest();
  };
  try {
    const chunks = numbers.map((number) => model.bundle.chunks[number]);
    const search = (workers?: SearchWorkers) =>
      workers === undefined ? searchHere(model, numbers, filter.text, take) : searchInWorkers(workers, chunks, filter.text, take);
    // Rows in memory are found at once.
    await (model.isSmall ? search() : withWorkers(search));
    return found.values().slice();
  } catch (error) {
    if (!(error instanceof WorkerError)) throw error;
    giveUpWorkers();
    return rowsWithText(model, filter, pace, report);
  }
}

/** Receives the rows found in some chunks, and the number of searched chunks. */
type Taker = (found: Found, done: number) => Promise<void>;

/** Searches chunks in workers. */
async function searchInWorkers(workers: SearchWorkers, all: Chunk[], text: string, take: Taker) {
  const asked: { count: number; found: Promise<Found> }[] = [];
  let done = 0;
  const takeFirst = async () => {
    const first = asked.shift();
    if (first !== undefined) await take(await first.found, (done += first.count));
  };
  for (const chunks of groups(all)) {
    const isLarge = chunks.some((chunk) => chunk.bytes > MAX_CHUNK_BYTES || sizeOf(chunk) > MAX_CHUNK_BYTES);
    const found = isLarge ? searchChunks(chunks, new TextSearch(text), new TextBuffer()) : workers.search(chunks, text);
    // It may fail while waiting for an earlier one.
    found.catch(() => undefined);
    asked.push({ count: chunks.length, found });
    if (asked.length >= workers.capacity) await takeFirst();
  }
  while (asked.length > 0) await takeFirst();
}

/** Searches chunks in the page itself. */
async function searchHere(model: Model, numbers: number[], text: string, take: Taker) {
  const search = new TextSearch(text);
  const buffer = new TextBuffer();
  let done = 0;
  for (const number of numbers) await take(await rowsOfChunk(model, number, search, buffer), ++done);
}

async function rowsOfChunk(model: Model, number: number, search: TextSearch, buffer: TextBuffer): Promise<Found> {
  try {
    const { chunk, bytes } = await model.scan(number, buffer);
    return { rows: Uint32Array.from(search.rowsOf(chunk, bytes), (row) => chunk.firstRow + row), unread: 0 };
  } catch (error) {
    if (error instanceof ChunkError) return { rows: new Uint32Array(0), unread: model.bundle.chunks[number].rows };
    throw error;
  }
}

function isOfSource(model: Model, filter: Filter, chunk: Chunk): boolean {
  return filter.source === "" || model.files[chunk.file].source === filter.source;
}

function hasCandidate(first: number, rows: number, test: (row: number) => boolean): boolean {
  for (let row = first; row < first + rows; row++) if (test(row)) return true;
  return false;
}

function rowTest(model: Model, filter: Filter): (row: number) => boolean {
  if (!needsIndex(filter)) return () => true;
  const state = filter.state === "" ? undefined : model.stateNames.find(filter.state);
  const tool = filter.tool === "" ? undefined : model.toolNames.find(filter.tool);
  return (row) =>
    (state === undefined || model.states[row] === state) &&
    (tool === undefined || model.tools[row] === tool) &&
    isIn(filter.range, model.times[row]);
}
