/** The manifest of a bundle: the keys that the page shows. Only `verify` finds every fault; the page only protects itself. */

import { parseTime } from "./times.ts";

/** A manifest line that the page can't use. */
export class ManifestError extends Error {}

/** A chunk of a file, according to the manifest. */
export interface ChunkEntry {
  compressed: number;
  bytes: number;
  rows: number;
  crc32: number;
}

/** Lines of a log that are not rows. */
export interface UnparsedLines {
  line: number;
  lines: number;
  text?: string;
  bytes?: string;
}

/** A log in a bundle. */
export interface LogFile {
  source: string;
  name: string;
  base: string;
  rows: number;
  bytes: number;
  sha256?: string;
  isCrlf: boolean;
  hasFinalNewline: boolean;
  firstTime?: number;
  lastTime?: number;
  timeline?: { stepMs: number; bins: [number, number][] };
  unparsed: UnparsedLines[];
  unparsedLines: number;
  chunks: ChunkEntry[];
}

/** The first line of a bundle. */
export interface Manifest {
  minor: number;
  generator: string;
  exportedAt: string;
  label?: string;
  derivedFrom?: { how: string; bundles: number };
  history?: { id: string; segment: number };
  files: LogFile[];
  rows: number;
}

const MAX_FILES = 100_000;

type JsonObject = Record<string, unknown>;

/** Reads a manifest line. */
export function parseManifest(line: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ManifestError("its first line is not JSON");
  }
  const object = asObject(value);
  if (object.type !== "manifest") throw new ManifestError("its first line is not a manifest");
  if (object.version !== 1) throw new ManifestError("it has another format version than 1");
  const list = asArray(object.files, "files");
  if (list.length > MAX_FILES) throw new ManifestError("it has too many files");
  const files = list.map(file);
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const derived = object.derivedFrom === undefined ? undefined : asObject(object.derivedFrom);
  const history = object.history === undefined ? undefined : asObject(object.history);
  return {
    minor: object.minor === undefined ? 0 : count(object.minor, "minor"),
    generator: text(object.generator),
    exportedAt: text(object.exportedAt),
    label: object.label === undefined ? undefined : text(object.label),
    derivedFrom: derived && { how: text(derived.how), bundles: asArray(derived.bundles, "bundles").length },
    history: history && { id: text(history.id), segment: count(history.segment, "segment") },
    files,
    rows,
  };
}

function file(value: unknown): LogFile {
  const object = asObject(value);
  const rows = count(object.count, "count");
  const chunks = object.chunks === undefined ? [] : asArray(object.chunks, "chunks").map(chunk);
  if (chunks.length > 0 && chunks.reduce((sum, chunk) => sum + chunk.rows, 0) !== rows) {
    throw new ManifestError("the rows of its chunks do not add up");
  }
  const unparsed = object.unparsed === undefined ? [] : asArray(object.unparsed, "unparsed").map(unparsedLines);
  return {
    source: text(object.source),
    name: text(object.relativePath),
    base: object.base === undefined ? (object.source === "activity" ? "activity" : "patchwork") : text(object.base),
    rows,
    bytes: count(object.bytes, "bytes"),
    sha256: object.sha256 === undefined ? undefined : text(object.sha256).toLowerCase(),
    isCrlf: object.lineEnding === "crlf",
    hasFinalNewline: object.finalNewline !== false,
    firstTime: time(object.firstTime),
    lastTime: time(object.lastTime),
    timeline: timeline(object.timeline),
    unparsed,
    unparsedLines: unparsed.reduce((sum, lines) => sum + lines.lines, 0),
    chunks,
  };
}

function chunk(value: unknown): ChunkEntry {
  const object = asObject(value);
  const entry = {
    compressed: count(object.compressed, "compressed"),
    bytes: count(object.bytes, "bytes"),
    rows: count(object.rows, "rows"),
    crc32: parseInt(text(object.crc32), 16) >>> 0,
  };
  // Deflate yields at most 1032 bytes per byte, so no memory is reserved for impossible lengths.
  const isImpossible = entry.bytes > 1032 * entry.compressed + 1024;
  if (isImpossible || entry.rows < 1 || entry.bytes < 25 * entry.rows) throw new ManifestError("a chunk of it cannot hold its rows");
  return entry;
}

function unparsedLines(value: unknown): UnparsedLines {
  const object = asObject(value);
  const isText = typeof object.text === "string";
  const content = text(isText ? object.text : object.bytes);
  const line = count(object.line, "line");
  const lines = isText ? countLineFeeds(content) + 1 : countLineFeeds(binary(content)) + 1;
  return isText ? { line, lines, text: content } : { line, lines, bytes: content };
}

function binary(base64: string): string {
  try {
    return atob(base64);
  } catch {
    throw new ManifestError("unparsed lines in it are not base64");
  }
}

function countLineFeeds(content: string): number {
  let lines = 0;
  for (let at = content.indexOf("\n"); at !== -1; at = content.indexOf("\n", at + 1)) lines++;
  return lines;
}

function timeline(value: unknown): LogFile["timeline"] {
  if (value === undefined) return undefined;
  const object = asObject(value);
  const stepMs = count(object.stepMs, "stepMs");
  const bins = asArray(object.bins, "bins").slice(0, 64).map((bin): [number, number] => {
    const pair = asArray(bin, "bins");
    if (!Number.isSafeInteger(pair[0])) throw new ManifestError("a bin of a timeline in it is malformed");
    return [Number(pair[0]), count(pair[1], "bins")];
  });
  return stepMs > 0 ? { stepMs, bins } : undefined;
}

function asObject(value: unknown): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ManifestError("its manifest is malformed");
  }
  return value as JsonObject;
}

function asArray(value: unknown, key: string): unknown[] {
  if (!Array.isArray(value)) throw new ManifestError(`"${key}" in its manifest is not an array`);
  return value;
}

function count(value: unknown, key: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new ManifestError(`"${key}" in its manifest is not a count`);
  }
  return value;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function time(value: unknown): number | undefined {
  const millis = typeof value === "string" ? parseTime(value) : NaN;
  return Number.isNaN(millis) ? undefined : millis;
}
