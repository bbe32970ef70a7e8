import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { spread, toolUses } from "../activity.ts";
import { combineCrc32, crc32 } from "../bytes.ts";
import { BundleError, openBundle, reopenFromStart } from "../bundle.ts";
import { readChunk } from "../chunks.ts";
import { entryOf } from "../entry.ts";
import { ALL_ROWS, findRows } from "../filter.ts";
import { duration, size, time } from "../format.ts";
import { sortByKey } from "../growable.ts";
import { TextBuffer, UnreadableError } from "../inflate.ts";
import { decode, layOut, stringAt, visitMembers, skipValue, unescape } from "../json.ts";
import { ManifestError, parseManifest } from "../manifest.ts";
import { findMembers, MemberReader } from "../members.ts";
import { Model } from "../model.ts";
import { closePace, Pace } from "../pace.ts";
import { ALL_TIME } from "../range.ts";
import { checkLog } from "../restore.ts";
import { Facts, stateOf } from "../row.ts";
import { searchChunks, TextSearch } from "../search.ts";
import { stepsOf } from "../runs.ts";
import { parseTime } from "../times.ts";
import { head, visible } from "../visible.ts";
import { LOGS, makeBundle, makeRecompressed } from "./bundles.ts";

after(closePace);

const bytesOf = (text: string) => new TextEncoder().encode(text);
const factsOf = (text: string) => new Facts(bytesOf(text), 0, bytesOf(text).length);
const open = (bundle: Buffer) => openBundle(new Blob([new Uint8Array(bundle)]), "b.jsonl.gz", () => undefined);

async function indexed(bundle: Buffer): Promise<Model> {
  const model = new Model(await open(bundle));
  await model.index(() => undefined);
  const again = model.isMisplaced ? await reopenFromStart(model.bundle, () => undefined) : undefined;
  if (again === undefined) return model;
  const reopened = new Model(again);
  await reopened.index(() => undefined);
  return reopened;
}

/** A small generator of random numbers, the same in each run. */
function randomNumbers(seed: number) {
  return (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

function randomJson(random: (below: number) => number, depth = 0): string {
  const kind = random(depth > 4 ? 4 : 6);
  const list = (make: () => string) => Array.from({ length: random(4) }, make).join(random(2) ? "," : " ,\t");
  if (kind === 0) return ["0", "-0", "1.0", "1e400", "12345678901234567890", "0.1e-7"][random(6)];
  if (kind === 1) return ["true", "false", "null"][random(3)];
  if (kind <= 3) return ['""', '"a\\"b"', '"\\u202e"', '"\\\\"', '"東京"', '"{[,:"'][random(6)];
  if (kind === 4) return `[${list(() => randomJson(random, depth + 1))}]`;
  return `{${list(() => `"k\\"${random(9)}" : ${randomJson(random, depth + 1)}`)}}`;
}

test("laid-out JSON has every token of the text, character for character", () => {
  const random = randomNumbers(7);
  for (let round = 0; round < 2000; round++) {
    const text = randomJson(random);
    const tokens = [...layOut(text)];
    const strip = (json: string) => json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
    assert.equal(strip(tokens.map((token) => token.text).join("")), strip(text));
  }
});

test("a value ends where JSON says, whatever its strings hold", () => {
  const random = randomNumbers(11);
  for (let round = 0; round < 2000; round++) {
    const text = randomJson(random);
    const bytes = bytesOf(`${text},"rest"`);
    assert.equal(skipValue(bytes, 0, bytes.length), bytesOf(text).length, text);
  }
});

test("members are found, and malformed objects are told apart", () => {
  const names = (text: string) => {
    const bytes = bytesOf(text);
    const found: string[] = [];
    const end = visitMembers(bytes, 0, bytes.length, (keyAt, keyEnd, valueAt) => {
      const valueEnd = skipValue(bytes, valueAt, bytes.length);
      found.push(`${stringAt(bytes, keyAt, keyEnd)}=${decode(bytes, valueAt, valueEnd)}`);
      return valueEnd;
    });
    return { found, end };
  };
  assert.deepEqual(names('{ "a" : 1.0 , "\\u0062":[{"a":2}] }').found, ["a=1.0", 'b=[{"a":2}]']);
  for (const text of ["", "{", '{"a"', '{"a":', '{"a":1', "[1]", '{"a":}']) assert.equal(names(text).end, -1, text);
});

test("of equal keys the last one counts, also when its name is escaped", () => {
  assert.equal(factsOf('{"status":"a","st\\u0061tus":"b"}').text("status"), "b");
  assert.equal(factsOf('{"createdAt":1777716000000,"createdAt":"x"}').time("runs"), NaN);
});

test("times are those of FORMAT.md", () => {
  assert.equal(factsOf('{"createdAt":1777716000000.9}').time("runs"), 1777716000000);
  assert.equal(factsOf('{"createdAt":1.7777e12}').time("runs"), 1777700000000);
  assert.equal(factsOf('{"createdAt":"1777716000000"}').time("runs"), NaN);
  assert.equal(factsOf('{"createdAt":1e400}').time("runs"), NaN);
  assert.equal(factsOf('{"timestamp":"2026-05-02T10:00:00.500Z"}').time("activity"), Date.UTC(2026, 4, 2, 10, 0, 0, 500));
  assert.equal(factsOf('{"timestamp":"2026-05-02t12:00:00+02:00"}').time("activity"), Date.UTC(2026, 4, 2, 10));
  assert.equal(factsOf('{"timestamp":"yesterday"}').time("activity"), NaN);
  assert.equal(factsOf('{"timestamp":"2026-13-02T10:00:00.500Z"}').time("activity"), NaN);
});

test("no time is invented, and the vectors of the conformance suite agree", () => {
  const timeOf = (timestamp: string) => factsOf(JSON.stringify({ timestamp })).time("activity");
  for (const text of [
    "2026-02-30T10:00:00.000Z", "2026-02-29T10:00:00.000Z", "2026-05-02T25:00:00.000Z", "2026-05-02T24:00:00.000Z", "2026-00-02T10:00:00.000Z",
    "2026-05-00T10:00:00.000Z", "20x6-05-02T10:00:00.000Z", "2026/05/02T10:00:00.000Z", "2026-05-02T10:60:00.000Z", "2026-05-02T10.00.00.000Z",
    "2026-05-02T10:00:61.000Z", "2026-05-02T10:00:00.00:Z", "2026-05-02T10:00:00,000Z", "2026-05-02T10:00:00.000+24:00", "9999-12-31T00:00:00.000Z",
  ]) assert.equal(timeOf(text), NaN, text);
  assert.equal(timeOf("2026-05-02T10:00:60.250Z"), Date.UTC(2026, 4, 2, 10, 0, 59, 250));
  assert.equal(timeOf("2026-05-02 10:00:00.500Z"), Date.UTC(2026, 4, 2, 10, 0, 0, 500));
  const vectors = (name: string) => JSON.parse(readFileSync(new URL(`../../../../fixtures/conformance/vectors/${name}.json`, import.meta.url), "utf8")) as unknown;
  for (const { value, time } of vectors("manifest_times") as { value: string; time: number | null }[]) {
    if (!/\d \d/.test(value)) assert.equal(parseTime(value), time ?? NaN, value);
  }
  for (const { entry, source, time } of vectors("times") as { entry: string; source: string; time: number | null }[]) {
    if (!/\d \d/.test(entry)) assert.equal(factsOf(entry).time(source) + 0, time ?? NaN, `${source} ${entry}`);
  }
});

test("checksums are those of zlib, also combined", () => {
  const random = randomNumbers(3);
  for (const length of [0, 1, 7, 8, 9, 1000]) {
    const [a, b] = [length, random(500)].map((n) => Uint8Array.from({ length: n }, () => random(256)));
    const both = Buffer.concat([a, b]);
    assert.equal(crc32(both), crcOfGzip(both));
    assert.equal(combineCrc32(crc32(a), crc32(b), b.length), crc32(both));
  }
});

function crcOfGzip(bytes: Buffer): number {
  const gzip = gzipSync(bytes);
  return gzip.readUInt32LE(gzip.length - 8);
}

test("sorting is stable, puts what has no key last, and goes both ways", () => {
  const random = randomNumbers(5);
  const key = Float64Array.from({ length: 3000 }, () => (random(10) === 0 ? NaN : random(9) * 10 ** random(13)));
  const rows = Uint32Array.from({ length: key.length }, (_, i) => i);
  for (const isDescending of [false, true]) {
    const rank = (row: number) => (Number.isNaN(key[row]) ? Infinity : isDescending ? -key[row] : key[row]);
    const expected = [...rows].sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) < rank(b) ? -1 : 1));
    assert.deepEqual([...sortByKey(rows, key, isDescending)], expected);
  }
});

test("sorting is right for every double, and ends", () => {
  const values = [5, -1.7e308, 0.5, 1e300, NaN, -0, 1.7e308, 0.25, 1e300, -3, 0, 1e300 / 3, -Infinity, 5e-324, Infinity];
  const key = Float64Array.from(values);
  const rows = Uint32Array.from(values.keys()).subarray(0);
  const longest = [...sortByKey(rows, key, true)].map((row) => values[row]);
  assert.deepEqual(longest, [Infinity, 1.7e308, 1e300, 1e300, 1e300 / 3, 5, 0.5, 0.25, 5e-324, -0, 0, -3, -1.7e308, -Infinity, NaN]);
  const shortest = [...sortByKey(rows, key, false)];
  assert.deepEqual(shortest.slice(0, 6), [12, 1, 9, 5, 10, 13]);
  assert.equal(shortest.at(-1), 4);
  assert.deepEqual([...sortByKey(Uint32Array.of(14, 9, 4, 5), key, false)], [9, 5, 14, 4]);
});

test("what is hidden becomes visible, and other scripts stay as they are", () => {
  assert.equal(visible("a\u202eb\u0000\n\u{e0041}"), "a⟨U+202E⟩b⟨U+0000⟩⟨U+000A⟩⟨U+E0041⟩");
  assert.equal(visible("\ud800"), "⟨U+D800⟩");
  assert.equal(visible("東京 café 🚀 שלום"), "東京 café 🚀 שלום");
});

test("numbers read as people expect", () => {
  assert.deepEqual([0, 999, 1000, 65300, 999_950, 1.1e9].map(size), ["0 B", "999 B", "1.0 kB", "65.3 kB", "1.0 MB", "1.1 GB"]);
  assert.deepEqual([5, 1500, 59_960, 125_000, 11_520_000, NaN].map(duration), ["5 ms", "1.5 s", "1 min 0 s", "2 min 5 s", "3 h 12 min", ""]);
  assert.equal(time(1777716000000), "2026-05-02 10:00:00.000");
});

for (const [kind, make] of [["indexed", makeBundle], ["recompressed", makeRecompressed]] as const) {
  test(`an ${kind} bundle gives its rows, runs, decisions and tools`, async () => {
    const model = await indexed(make(LOGS));
    assert.deepEqual(model.bundle.problems, []);
    assert.equal(model.bundle.note === undefined, kind === "indexed");
    assert.equal(model.rows, 8);
    assert.equal(model.lineOf(1), 3);
    const { runs } = model;
    assert.equal(runs.count, 2);
    assert.deepEqual(runs.rowsOf(0, 9), [0, 2]);
    assert.equal(model.stateNames.name(runs.states.get(0)), "done");
    assert.equal(runs.durations.get(0), 5000);
    const text = await model.text(2);
    assert.ok(text);
    assert.deepEqual(stepsOf([text]).steps.map(({ id, start, duration, state }) => [id, start, duration, state]), [["read", 0, 2000, "ok"], ["write", 2000, 3000, "error"]]);
    assert.deepEqual([...model.decisions.rows.values()], [3, 7]);
    const decision = await model.text(3);
    assert.ok(decision);
    assert.equal(model.decisions.outcomeOf("decision_traces", new Facts(decision.bytes, decision.entryAt, decision.entryEnd)), "held");
    assert.deepEqual(toolUses(model, ALL_TIME)[0], { tool: "Bash", calls: 2, errors: 1, median: 200, p95: 300, longest: 300 });
    for (const file of model.files.keys()) assert.equal(await checkLog(model, file, new Pace()), "matches");
  });
}

test("rows are found by text, source, state, tool, time and order", async () => {
  const model = await indexed(makeBundle(LOGS));
  const find = async (part: object) => [...(await findRows(model, { ...ALL_ROWS, ...part }, new Pace(), () => undefined))];
  assert.deepEqual(await find({ text: "ROWS DOUBLED" }), [3]);
  assert.deepEqual(await find({ text: '"source"' }), [], "what the bundle puts around an entry is no match");
  assert.deepEqual(await find({ text: "a.*b(" }), []);
  assert.deepEqual(await find({ text: "bash", state: "error" }), [6]);
  assert.deepEqual(await find({ source: "activity" }), [5, 6, 7]);
  assert.deepEqual(await find({ tool: "Bash" }), [5, 6]);
  assert.deepEqual(await find({ range: { from: 1777716060000, until: 1777716070000 } }), [3, 4]);
  assert.deepEqual(await find({ order: "longest", source: "runs" }), [1, 2, 0]);
  assert.deepEqual((await find({ order: "oldest" })).slice(0, 3), [0, 2, 5]);
});

test("a text is found in the bytes of rows as a person expects, wherever it is", async () => {
  const random = randomNumbers(17);
  const words = ["a", "B", "ab", "ABA", "ba", "Ä", "ß", "\u212a", "ſ", "k", "s", "東", "x\\n", "\n", "\"", "\t", "\u{10428}", "\u{10400}", "entry", "source"];
  const word = () => words[random(words.length)];
  for (let round = 0; round < 300; round++) {
    const escaped = (line: string) => line.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const json = () => JSON.stringify({ [word()]: Array.from({ length: random(6) }, word).join("") });
    const lines = Array.from({ length: 1 + random(20) }, () => (random(3) === 0 ? escaped(json()) : json()));
    const chunks = [...(await open(makeBundle([{ source: "runs", name: "r.jsonl", lines }], 1 + random(5)))).chunks];
    const text = Array.from({ length: 1 + random(3) }, word).join("");
    const pattern = new RegExp(text.replace(/\\/g, "\\\\"), /^[\0-\x7f]+$/.test(text) ? "i" : "iu");
    const expected = lines.flatMap((line, row) => (pattern.test(line) || pattern.test(unescape(line)) ? [row] : []));
    const found = await searchChunks(chunks, new TextSearch(text), new TextBuffer());
    assert.deepEqual([[...found.rows], found.unread], [expected, 0], JSON.stringify({ text, lines }));
  }
});

test("a search finds no rows in a chunk that differs from its checksum, and all in the others", async () => {
  const lines = Array.from({ length: 60 }, (_, i) => `{"x":"needle ${i}"}`);
  const { chunks } = await open(makeBundle([{ source: "runs", name: "runs.jsonl", lines }], 10));
  const search = async () => {
    const { rows, unread } = await searchChunks(chunks, new TextSearch("Needle"), new TextBuffer());
    assert.equal(rows.length + unread, 60, "each row is found or said to be unreadable");
    return [...rows];
  };
  assert.equal((await search()).length, 60);
  chunks[4].isUnreadable = true;
  assert.equal((await search()).length, 50);
  chunks[4].isUnreadable = false;
  for (const chunk of chunks) chunk.isChecked = false;
  chunks[2].crc32 = (chunks[2].crc32 ?? 0) ^ 1;
  assert.deepEqual(await search(), Array.from({ length: 60 }, (_, i) => i).filter((row) => row < 20 || row >= 30));
  // A chunk that is shorter than the manifest says must not move the rows of the next one.
  chunks[3].bytes += 1;
  assert.deepEqual(await search(), Array.from({ length: 60 }, (_, i) => i).filter((row) => row < 20 || row >= 40));
});

test("a file that can't be read any more is no reason to call rows missing or damaged", async () => {
  const { chunks } = await open(makeBundle([{ source: "runs", name: "runs.jsonl", lines: ['{"x":"needle"}', '{"x":"needle"}'] }], 1));
  const moved = () => Promise.reject(new Error("moved"));
  for (const chunk of chunks) {
    const slice = () => Object.assign(new Blob(["rows"]), { arrayBuffer: moved, slice });
    chunk.at = { blob: slice(), start: 0, end: 4 };
  }
  await assert.rejects(readChunk(chunks[0]), UnreadableError);
  await assert.rejects(searchChunks([chunks[0]], new TextSearch("needle"), new TextBuffer()), UnreadableError);
});

test("a cut never parts a pair of surrogates", () => {
  const text = "a🚀b🚀";
  for (let length = 0; length <= text.length + 1; length++) assert.doesNotMatch(head(text, length), /[\ud800-\udfff]/u, String(length));
  assert.deepEqual([0, 1, 2, 3, 4, 9].map((length) => head(text, length)), ["", "a", "a", "a🚀", "a🚀b", text]);
  assert.equal(head("\ud800\ud800", 1), "\ud800");
});

test("entries are those that a writer makes, and a row with another entry is not proven", async () => {
  const vectors = JSON.parse(readFileSync(new URL("../../../../fixtures/conformance/vectors/entries.json", import.meta.url), "utf8")) as { entry: string | null; lineBase64: string }[];
  for (const { entry, lineBase64 } of vectors) {
    const bytes = new Uint8Array(Buffer.from(lineBase64, "base64"));
    if (entry !== null) assert.equal(entryOf({ bytes }), entry, lineBase64);
  }
  const text = '{"taskId":"A","status":"error"}';
  const row = (entry: string) => `{"source":"runs","entry":${entry},"original":{"text":${JSON.stringify(text)}}}\n`;
  const sha256 = createHash("sha256").update(`${text}\n`).digest("hex");
  const file = { source: "runs", relativePath: "runs.jsonl", count: 1, bytes: text.length + 1, sha256, lineEnding: "lf", finalNewline: true };
  const manifest = `${JSON.stringify({ type: "manifest", version: 1, minor: 1, files: [file], totalCount: 1 })}\n`;
  for (const [entry, check] of [[text, "matches"], [text.replace("error", "done"), "differs"]]) {
    const model = await indexed(gzipSync(manifest + row(entry)));
    assert.equal(await checkLog(model, 0, new Pace()), check);
  }
});

test("a changed row is not shown as proven", async () => {
  const model = await indexed(makeRecompressed([{ ...LOGS[1] }]));
  model.files[0].sha256 = "0".repeat(64);
  assert.equal(await checkLog(model, 0, new Pace()), "differs");
});

test("sealed bundles and other files are refused with what to do", async () => {
  const refusal = async (content: string) => {
    const error = await open(Buffer.from(content, "latin1")).catch((caught: unknown) => caught);
    assert.ok(error instanceof BundleError, String(error));
    return error.message;
  };
  assert.match(await refusal("age-encryption.org/v1\n"), /age -d -i KEY -o PLAIN\.jsonl\.gz FILE.*report FILE -i KEY --embed/);
  assert.match(await refusal("PWTRACE1\x00"), /report FILE --embed .* asks for the passphrase/);
  assert.match(await refusal("hello"), /not a trace bundle/);
  assert.match(await refusal("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"), /does not begin with a manifest/);
  assert.match(await refusal("\x1f\x8b\x08\x00"), /does not inflate/);
});

test("gzip members are told apart, also before zeros, and nothing else is taken for them", async () => {
  const random = randomNumbers(13);
  const blobOf = (...parts: Buffer[]) => new Blob([new Uint8Array(Buffer.concat(parts))]);
  const texts = Array.from({ length: 5 }, (_, i) => Buffer.from(Array.from({ length: [0, 1, 5, 3000, 100_000][i] }, () => random(256))));
  // What is not compressed has the head of a member in it.
  texts.push(Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0]), texts[3], Buffer.from([0x1f, 0x8b, 8, 0]), texts[2]]));
  const members = texts.map((text) => gzipSync(text, { level: 0 }));
  const named = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), Buffer.from("name\0"), gzipSync(texts[3]).subarray(10)]);
  for (const parts of [members, [named, ...members], [members[3]], [members[5]], [members[0]]]) {
    for (const zeros of [0, 1, 512]) {
      const found = await findMembers(blobOf(...parts, Buffer.alloc(zeros)), new Pace());
      assert.equal(found?.length, parts.length);
      const reader = new MemberReader(found);
      const read: Uint8Array[] = [];
      for (let part = await reader.read(); !part.done; part = await reader.read()) read.push(part.value);
      assert.deepEqual(Buffer.concat(read), Buffer.concat(parts.map((part) => gunzipSync(part))));
    }
  }
  const changed = Buffer.concat(members);
  changed[changed.length - 200] ^= 1;
  assert.equal(await findMembers(blobOf(changed), new Pace()), undefined);
  assert.equal(await findMembers(blobOf(members[3], Buffer.from("rest")), new Pace()), undefined);
  assert.equal(await findMembers(blobOf(members[3], Buffer.alloc(20), members[2]), new Pace()), undefined);
});

test("chunks with sizes that deflate can't have are refused", () => {
  const manifest = (bytes: number, rows: number) => {
    const chunk = { compressed: 1000, bytes, rows, crc32: "00000000" };
    const file = { source: "runs", relativePath: "runs.jsonl", count: rows, bytes, chunks: [chunk] };
    return JSON.stringify({ type: "manifest", version: 1, minor: 1, files: [file], totalCount: rows });
  };
  assert.equal(parseManifest(manifest(1_033_024, 1)).rows, 1);
  for (const [bytes, rows] of [[1_033_025, 1], [3e14, 1e13], [100, 5]]) assert.throws(() => parseManifest(manifest(bytes, rows)), ManifestError);
});

test("median, 95th percentile and longest are those of the sorted durations", async () => {
  const random = randomNumbers(19);
  for (let round = 0; round < 500; round++) {
    const durations = Array.from({ length: 1 + random(120) }, () => random(50) * 10 ** random(4));
    const sorted = [...durations].sort((a, b) => a - b);
    const { median, p95, longest } = spread(Float64Array.from(durations));
    const below = (limit: number) => durations.filter((duration) => duration < limit).length;
    const upTo = (limit: number) => durations.filter((duration) => duration <= limit).length;
    assert.equal(longest, sorted.at(-1));
    assert.ok(below(median) * 2 <= durations.length && upTo(median) * 2 >= durations.length, `${median} of ${sorted.join()}`);
    if (durations.length % 2 === 1) assert.equal(median, sorted[(sorted.length - 1) / 2]);
    assert.ok(durations.includes(p95) && upTo(p95) >= durations.length * 0.95 && below(p95) < durations.length * 0.95, `${p95} of ${sorted.join()}`);
  }
  assert.deepEqual(spread(Float64Array.of(100, 300)), { median: 200, p95: 300, longest: 300 });
  assert.deepEqual(spread(new Float64Array(0)), { median: NaN, p95: NaN, longest: NaN });
});

test("activity is summed up by tool and range, and rows without a duration count as calls", async () => {
  const random = randomNumbers(23);
  const calls = Array.from({ length: 400 }, () => ({ tool: ["Bash", "Read", "Edit"][random(3)], status: ["success", "error"][random(2)], durationMs: random(4) === 0 ? undefined : random(999) }));
  const lines = calls.map((call, i) => JSON.stringify({ timestamp: new Date(1777716000000 + i * 1000).toISOString(), ...call }));
  const model = await indexed(makeBundle([{ source: "activity", name: "activity-1.jsonl", lines }]));
  const range = { from: 1777716000000 + 50_000, until: 1777716000000 + 349_000 };
  const expected = ["Bash", "Read", "Edit"].map((tool) => {
    const own = calls.slice(50, 350).filter((call) => call.tool === tool);
    return { tool, calls: own.length, errors: own.filter(({ status }) => status === "error").length, ...spread(Float64Array.from(own.flatMap(({ durationMs }) => durationMs ?? []))) };
  });
  assert.deepEqual(toolUses(model, range), expected.sort((a, b) => b.calls - a.calls));
});

test("summing up activity adds no state that no row has", async () => {
  const model = await indexed(makeBundle([{ source: "activity", name: "activity-1.jsonl", lines: ['{"timestamp":"2026-05-02T10:00:01.000Z","tool":"Bash","status":"success"}'] }]));
  assert.equal(toolUses(model, ALL_TIME)[0].errors, 0);
  assert.deepEqual([...(await findRows(model, { ...ALL_ROWS, state: "failed" }, new Pace(), () => undefined))], []);
  assert.deepEqual(model.stateNames.sorted().map((code) => model.stateNames.name(code)), ["success"]);
});

test("of a bundle that is cut off, the rows before the cut are shown with a problem", async () => {
  const lines = Array.from({ length: 5000 }, (_, i) => `{"createdAt":${1777716000000 + i * 977},"x":"${(i * 2654435761) % 99991}"}`);
  const whole = makeBundle([{ source: "runs", name: "runs.jsonl", lines }]);
  const model = await indexed(whole.subarray(0, whole.length - 4000));
  assert.ok(model.rows > 1000 && model.rows < 5000, String(model.rows));
  assert.match(model.bundle.problems[0], /does not inflate/);
});

test("every sound bundle of the conformance suite is shown, and no log is called proven that differs", async () => {
  const suite = new URL("../../../../fixtures/conformance/", import.meta.url);
  const names = readdirSync(suite).filter((name) => name.endsWith(".json"));
  assert.ok(names.length > 100);
  for (const name of names) {
    const expected = JSON.parse(readFileSync(new URL(name, suite), "utf8")) as { verdict: string; rules: number[]; logs: Record<string, string> };
    const bundle = readFileSync(new URL(name.replace(/json$/, "jsonl.gz"), suite));
    const isSound = expected.verdict.startsWith("intact");
    try {
      const model = await indexed(bundle);
      for (const [number, file] of model.files.entries()) {
        const check = await checkLog(model, number, new Pace());
        const isKnown = expected.logs[`${file.base}/${file.name}`] === file.sha256;
        if (isSound && expected.verdict !== "intactWithoutHashes") assert.equal(check, "matches", `${name}: ${file.name}`);
        if (check === "matches") assert.ok(isKnown || !isSound, `${name}: ${file.name}`);
      }
      if (isSound) assert.deepEqual(model.bundle.problems, [], name);
    } catch (error) {
      if (!(error instanceof BundleError) && !(error instanceof ManifestError)) throw new Error(`${name}: ${String(error)}`, { cause: error });
      assert.ok(!isSound, `${name}: ${error.message}`);
    }
  }
});

test("null is no value, and a cut text has no escapes", () => {
  const facts = (entry: string) => {
    const bytes = new TextEncoder().encode(entry);
    return new Facts(bytes, 0, bytes.length);
  };
  assert.equal(facts('{"status":null}').text("status"), undefined);
  assert.equal(facts('{"status":"null"}').text("status"), "null");
  assert.equal(facts(`{"outputTail":"a \\"b\\"\\n${"x".repeat(50)}"}`).text("outputTail", 20)?.slice(0, 7), 'a "b"\nx');
  assert.equal(stateOf("runs", facts(`{"status":"${"x".repeat(60)} A"}`)), `${"x".repeat(60)} A`);
});
