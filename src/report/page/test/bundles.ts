/** Makes bundles and pages for the tests. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { constants, deflateRawSync, gzipSync } from "node:zlib";
import { crc32 } from "../bytes.ts";

/** A log to bundle: each line is a row, except those that are not JSON. */
export interface TestLog {
  source: string;
  name: string;
  lines: string[];
}

interface TestFile {
  json: Record<string, unknown>;
  rows: string[];
}

function makeFile({ source, name, lines }: TestLog): TestFile {
  const isRow = (line: string) => {
    try {
      JSON.parse(line);
      return true;
    } catch {
      return false;
    }
  };
  const file = name === `${source}.jsonl` ? "" : `"file":${JSON.stringify(name)},`;
  const rows = lines.filter(isRow).map((line) => `{"source":${JSON.stringify(source)},${file}"entry":${line}}\n`);
  const unparsed = lines.flatMap((line, i) => (isRow(line) ? [] : [{ line: i + 1, text: line }]));
  const log = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  const json = {
    source, relativePath: name, base: source === "activity" ? "activity" : "patchwork", count: rows.length, bytes: log.length,
    sha256: createHash("sha256").update(log).digest("hex"), lineEnding: "lf", finalNewline: true,
    ...(unparsed.length > 0 ? { unparsed } : {}),
  };
  return { json, rows };
}

/** Returns the text of a bundle, and the parts that its container holds. */
function makeParts(logs: TestLog[], rowsPerChunk = Infinity) {
  const files = logs.map(makeFile);
  const flush = (text: Buffer) => deflateRawSync(text, { finishFlush: constants.Z_FULL_FLUSH });
  const chunks: Buffer[] = [];
  const entries = files.map(({ json, rows }) => {
    const list = [];
    for (let at = 0; at < rows.length; at += rowsPerChunk) {
      const part = rows.slice(at, at + rowsPerChunk);
      const text = Buffer.from(part.join(""));
      const compressed = flush(text);
      chunks.push(compressed);
      list.push({ compressed: compressed.length, bytes: text.length, rows: part.length, crc32: crc32(text).toString(16).padStart(8, "0") });
    }
    return list.length === 0 ? json : { ...json, chunks: list };
  });
  const total = files.reduce((sum, { json }) => sum + Number(json.count), 0);
  const manifest = {
    type: "manifest", version: 1, minor: 1, generator: "test", exportedAt: "2026-05-02T10:00:00.000Z",
    sources: [...new Set(logs.map(({ source }) => source))].sort(), files: entries, totalCount: total,
  };
  const line = Buffer.from(`${JSON.stringify(manifest)}\n`);
  return { line, chunks, flush, text: Buffer.concat([line, ...files.map(({ rows }) => Buffer.from(rows.join("")))]) };
}

/** Returns the digest of a bundle of the logs. */
export function digestOf(logs: TestLog[]): string {
  return createHash("sha256").update(makeParts(logs).line.subarray(0, -1)).digest("hex");
}

/** Returns a bundle with a chunk index. */
export function makeBundle(logs: TestLog[], rowsPerChunk?: number): Buffer {
  const { line, chunks, flush, text } = makeParts(logs, rowsPerChunk);
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(crc32(text), 0);
  tail.writeUInt32LE(text.length % 2 ** 32, 4);
  const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  return Buffer.concat([head, flush(line), ...chunks, Buffer.from([3, 0]), tail]);
}

/** Returns a bundle that another program compressed again. */
export function makeRecompressed(logs: TestLog[]): Buffer {
  return gzipSync(makeParts(logs).text);
}

/** Returns the page as the program writes it. */
export function makePage(bundle: Buffer | undefined, report: object | undefined): string {
  const page = readFileSync(new URL("../../page.html", import.meta.url), "utf8");
  const json = report === undefined ? "" : JSON.stringify(report).replaceAll("<", "\\u003c");
  return page.replace("@REPORT@", () => json).replace("@BUNDLE@", () => bundle?.toString("base64") ?? "");
}

/** Logs of which everything is known. */
export const LOGS: TestLog[] = [
  {
    source: "runs",
    name: "runs.jsonl",
    lines: [
      '{"seq":1,"taskId":"t1","recipeName":"brief","trigger":"cron","status":"running","createdAt":1777716000000}',
      '{"seq":1,"taskId":"t1","cre',
      '{"seq":2,"taskId":"t2","recipeName":"triage","trigger":"webhook","status":"error","createdAt":1777716300000,"durationMs":9000,"big":12345678901234567890}',
      '{"seq":1,"taskId":"t1","recipeName":"brief","trigger":"cron","status":"done","createdAt":1777716000000,"startedAt":1777716000000,"doneAt":1777716005000,"durationMs":5000,"stepResults":[{"id":"read","tool":"Read","status":"ok","durationMs":2000,"startedAt":1777716000000},{"id":"write","tool":"Write","status":"error","durationMs":3000,"startedAt":1777716002000}]}',
    ],
  },
  {
    source: "decision_traces",
    name: "decision_traces.jsonl",
    lines: ['{"seq":1,"createdAt":1777716060000,"ref":"#7","problem":"rows doubled","solution":"compare by hash"}'],
  },
  { source: "outcome-log", name: "outcome-log.jsonl", lines: ['{"createdAt":1777716070000,"ref":"#7","outcome":"held"}'] },
  {
    source: "activity",
    name: "activity-3100.jsonl",
    lines: [
      '{"kind":"tool","id":1,"timestamp":"2026-05-02T10:00:01.000Z","tool":"Bash","durationMs":100,"status":"success"}',
      '{"kind":"tool","id":2,"timestamp":"2026-05-02T10:00:02.000Z","tool":"Bash","durationMs":300,"status":"error","errorMessage":"no such file"}',
      '{"kind":"lifecycle","id":3,"timestamp":"2026-05-02T10:00:03.000Z","event":"approval_decision","metadata":{"toolName":"gitPush","decision":"deny"}}',
    ],
  },
];
