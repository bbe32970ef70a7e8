/** Finds rows: by log, time, state and tool from the index, by text in the chunks. */

import { ChunkBuffer, ChunkError } from "./bundle.ts";
import { rowColumn, sortByKey } from "./growable.ts";
import { decode } from "./json.ts";
import type { LoadedChunk, Model } from "./model.ts";
import type { Pace } from "./pace.ts";
import { readEnvelope } from "./row.ts";

/** The orders in which rows can be listed. */
export type Order = "log" | "oldest" | "newest" | "longest";

/** What rows to list. */
export interface Filter {
  text: string;
  source: string;
  state: string;
  tool: string;
  from: number;
  until: number;
  order: Order;
}

/** The filter that every row passes. */
export const ALL_ROWS: Filter = { text: "", source: "", state: "", tool: "", from: -Infinity, until: Infinity, order: "log" };

/** Returns true if the filter needs to know more of rows than the manifest says. */
export function needsIndex(filter: Filter): boolean {
  return filter.state !== "" || filter.tool !== "" || filter.from !== -Infinity || filter.until !== Infinity || filter.order !== "log";
}

/** Returns the rows that pass, in the order wanted. Calls `report` with those found so far and the part searched. */
export async function findRows(
  model: Model,
  filter: Filter,
  pace: Pace,
  report: (rows: Uint32Array<ArrayBuffer>, part: number) => void,
): Promise<Uint32Array<ArrayBuffer>> {
  const found = rowColumn();
  const test = rowTest(model, filter);
  const pattern = filter.text === "" ? undefined : new RegExp(filter.text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "gi");
  const { chunks } = model.bundle;
  const buffer = new ChunkBuffer();
  for (let number = 0; number < chunks.length; number++) {
    const chunk = chunks[number];
    if (filter.source !== "" && model.files[chunk.file].source !== filter.source) continue;
    if (pattern === undefined) {
      for (let row = chunk.firstRow; row < chunk.firstRow + chunk.rows; row++) if (test(row)) found.push(row);
    } else if (hasCandidate(chunk.firstRow, chunk.rows, test)) {
      const before = found.length;
      await searchChunk(model, [number, buffer], pattern, pace, (row) => test(row) && found.push(row));
      if (found.length > before) report(found.values(), (number + 1) / chunks.length);
    }
    if (number % 16 === 0) report(found.values(), (number + 1) / chunks.length);
    await pace.rest();
  }
  const rows = found.values().slice();
  if (filter.order === "log") return rows;
  return sortByKey(rows, filter.order === "longest" ? model.durations : model.times, filter.order !== "oldest");
}

function hasCandidate(first: number, rows: number, test: (row: number) => boolean): boolean {
  for (let row = first; row < first + rows; row++) if (test(row)) return true;
  return false;
}

function rowTest(model: Model, filter: Filter): (row: number) => boolean {
  if (!needsIndex(filter)) return () => true;
  const state = filter.state === "" ? undefined : model.stateNames.find(filter.state);
  const tool = filter.tool === "" ? undefined : model.toolNames.find(filter.tool);
  const isAnyTime = filter.from === -Infinity && filter.until === Infinity;
  return (row) =>
    (state === undefined || model.states[row] === state) &&
    (tool === undefined || model.tools[row] === tool) &&
    (isAnyTime || (model.times[row] >= filter.from && model.times[row] <= filter.until));
}

type Found = (row: number) => void;

async function searchChunk(model: Model, [number, buffer]: [number, ChunkBuffer], pattern: RegExp, pace: Pace, found: Found) {
  let loaded: LoadedChunk;
  try {
    loaded = await model.scan(number, buffer);
  } catch (error) {
    if (error instanceof ChunkError) return;
    throw error;
  }
  const { chunk, bytes, lines } = loaded;
  const text = decode(bytes, 0, bytes.length);
  let index = 0;
  let lineEnd = text.indexOf("\n");
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    while (lineEnd !== -1 && lineEnd < match.index) {
      lineEnd = text.indexOf("\n", lineEnd + 1);
      index++;
    }
    if (isInEntry(bytes, lines[index], lines[index + 1] - 1, pattern)) found(chunk.firstRow + index);
    // One match a row is enough.
    if (lineEnd === -1) break;
    pattern.lastIndex = lineEnd + 1;
    if (index % 64 === 0) await pace.rest();
  }
}

/** Returns true if the entry matches, not only what the bundle puts around it. */
function isInEntry(bytes: Uint8Array, at: number, end: number, pattern: RegExp): boolean {
  const envelope = readEnvelope(bytes, at, end);
  if (envelope === undefined) return false;
  pattern.lastIndex = 0;
  return pattern.test(decode(bytes, envelope.entryAt, envelope.entryEnd));
}
