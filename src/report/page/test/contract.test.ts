import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parseReport, type ReportData, ReportError, type ReportFile, type ReportHistory, VERDICTS } from "../report-data.ts";

/** The keys of a type, all of them: where one is missing or too many, this does not compile. */
type Keys<T> = { [K in keyof Required<T>]: true };

const REPORT: Keys<ReportData> = {
  program: true, madeAt: true, input: true, verdict: true, isGood: true, digest: true, statement: true, rows: true, findings: true, moreFindings: true,
  files: true, history: true, signature: true, embedded: true, notEmbedded: true,
};
const INPUT: Keys<ReportData["input"]> = { name: true, kind: true };
const FINDING: Keys<ReportData["findings"][number]> = { severity: true, message: true };
const FILE: Keys<ReportFile> = { source: true, file: true, rows: true, bytes: true, unparsedLines: true, sha256: true, isVerified: true };
const HISTORY: Keys<ReportHistory> = { id: true, segments: true, treeHead: true, isComplete: true, gaps: true };
const SIGNATURE: Keys<NonNullable<ReportData["signature"]>> = { isValid: true, summary: true };
const EMBEDDED: Keys<NonNullable<ReportData["embedded"]>> = { name: true, digest: true, note: true };

const directory = new URL("../test/reports/", import.meta.url);
/** What the program writes: tests/cli/report.rs keeps these files current. */
const reports = readdirSync(directory).map((name) => ({ name, text: readFileSync(new URL(name, directory), "utf8") }));

test("the page knows every key that the program writes, and the program writes every key that the page knows", () => {
  const all = reports.map(({ text }) => JSON.parse(text) as ReportData);
  assert.ok(all.length >= 4);
  const expectKeys = (what: string, objects: (object | undefined)[], keys: object) =>
    assert.deepEqual([...new Set(objects.flatMap((object) => Object.keys(object ?? {})))].sort(), Object.keys(keys).sort(), what);
  expectKeys("report", all, REPORT);
  expectKeys("input", all.map(({ input }) => input), INPUT);
  expectKeys("findings", all.flatMap(({ findings }) => findings), FINDING);
  expectKeys("files", all.flatMap(({ files }) => files), FILE);
  expectKeys("history", all.map(({ history }) => history), HISTORY);
  expectKeys("signature", all.map(({ signature }) => signature), SIGNATURE);
  expectKeys("embedded", all.map(({ embedded }) => embedded), EMBEDDED);
});

test("values have the types that the page expects", () => {
  const typeOf = (value: unknown) => (Array.isArray(value) ? "array" : value === null ? "null" : typeof value);
  const types: Record<string, string> = {
    program: "string", madeAt: "string", verdict: "string", statement: "string", digest: "string", notEmbedded: "string", isGood: "boolean", rows: "number",
    moreFindings: "number", findings: "array", files: "array", input: "object", history: "object", signature: "object", embedded: "object",
    source: "string", file: "string", bytes: "number", unparsedLines: "number", sha256: "string", isVerified: "boolean",
    id: "string", segments: "number", treeHead: "string", isComplete: "boolean", gaps: "array", isValid: "boolean", summary: "string",
    name: "string", kind: "string", note: "string", severity: "string", message: "string",
  } satisfies Record<keyof (typeof REPORT & typeof INPUT & typeof FINDING & typeof FILE & typeof HISTORY & typeof SIGNATURE & typeof EMBEDDED), string>;
  const visit = (value: unknown, at: string) => {
    if (Array.isArray(value)) for (const element of value) visit(element, at);
    else if (typeof value === "object" && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        assert.equal(typeOf(member), types[key], `${at}: ${key}`);
        visit(member, `${at}: ${key}`);
      }
    }
  };
  for (const { name, text } of reports) visit(JSON.parse(text), name);
});

test("the page reads what the program writes, and refuses it without any key that it relies on", () => {
  for (const { name, text } of reports) {
    const report = parseReport(text);
    assert.ok(Object.hasOwn(VERDICTS, report.verdict), name);
    assert.ok(["bundle", "history"].includes(report.input.kind), name);
    assert.equal(report.history !== undefined, report.input.kind === "history", name);
    for (const key of ["program", "madeAt", "input", "verdict", "isGood", "statement", "rows", "findings", "moreFindings", "files"]) {
      assert.throws(() => parseReport(JSON.stringify({ ...report, [key]: undefined })), ReportError, `${name} without ${key}`);
    }
  }
});

test("the page has a word for every verdict of the program, and for no other", () => {
  const schema = JSON.parse(readFileSync(new URL("../../../../schema/report.schema.json", import.meta.url), "utf8")) as { $defs: { ReportVerdict: { oneOf: { const: string }[] } } };
  assert.deepEqual(schema.$defs.ReportVerdict.oneOf.map((verdict) => verdict.const).sort(), Object.keys(VERDICTS).sort());
});
