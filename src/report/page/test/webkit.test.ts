import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { digestOf, LOGS, makeBundle, makePage, makeRecompressed } from "./bundles.ts";
import { WebKit } from "./webdriver.ts";

const directory = mkdtempSync(join(tmpdir(), "report-page-"));
let browser: WebKit;

before(async () => {
  browser = await WebKit.start(90 + (process.pid % 9));
});
after(async () => {
  await browser.end();
  rmSync(directory, { recursive: true });
});

const SUMMARY = 'document.querySelector("#panel-summary").textContent';
const COUNT = 'document.querySelector("#panel-rows .count").textContent';

/** Opens a page from disk. Notes what goes wrong in it. */
async function open(bundle: Buffer | undefined, report: object | undefined) {
  const file = join(directory, "report.html");
  writeFileSync(file, makePage(bundle, report));
  await browser.open(pathToFileURL(file).href);
  await browser.run('window.faults = []; for (const type of ["error", "securitypolicyviolation"]) addEventListener(type, (event) => faults.push(type + ": " + (event.message ?? event.violatedDirective)));');
}

async function expectNoFaults() {
  assert.deepEqual(await browser.run("return window.faults"), []);
  const requests = await browser.run('return performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => !name.startsWith("blob:"))');
  assert.deepEqual(requests, []);
}

async function drop(name: string, content: Buffer) {
  await browser.run(
    `const bytes = Uint8Array.from(atob(arguments[1]), (character) => character.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], arguments[0]));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));`,
    name, content.toString("base64"),
  );
}

async function search(text: string) {
  await browser.run('const field = document.querySelector("#panel-rows input[type=search]"); field.value = arguments[0]; field.dispatchEvent(new Event("input"));', text);
}

test("WebKit opens a report from disk, hashes its logs, searches, and shows a row", async () => {
  const digest = digestOf(LOGS);
  const report = {
    program: "test", madeAt: "2026-05-02T11:00:00Z", input: { name: "b.jsonl.gz", kind: "bundle" }, verdict: "intact", isGood: true,
    statement: "Every log matches its SHA-256.", rows: 8, findings: [], moreFindings: 0, files: [], digest, embedded: { name: "b.jsonl.gz", digest },
  };
  await open(makeBundle(LOGS), report);
  await browser.until(`${SUMMARY}.includes("4 of 4 logs match their SHA-256")`);
  assert.equal(await browser.run('return document.querySelector("#verdict").innerText'), "intact");
  await browser.run('document.querySelector("#tab-rows").click()');
  await search("12345678901234567890");
  await browser.until(`${COUNT} === "1 of 8 rows"`);
  await browser.until('document.querySelector("#panel-rows .layer .grid-row:not([hidden]):not(.loading)")');
  await browser.run('document.querySelector("#panel-rows .layer .grid-row").click()');
  await browser.until('document.querySelector("#detail .exact")');
  assert.match(String(await browser.run('return document.querySelector("#detail .exact").textContent')), /^\{"seq":2,.*12345678901234567890\}$/);
  await expectNoFaults();
});

test("WebKit shows dropped bundles: recompressed, hostile, cut off", async () => {
  await open(undefined, undefined);
  await drop("recompressed.jsonl.gz", makeRecompressed(LOGS));
  await browser.until(`${SUMMARY}.includes("4 of 4 logs match their SHA-256")`);
  assert.match(String(await browser.run(`return ${SUMMARY}`)), /so it was read from the start/);
  const hostile = "</script><script>document.title='broken'</script><img src=x>\u202e";
  await drop("hostile.jsonl.gz", makeBundle([{ source: "runs", name: "runs.jsonl", lines: [JSON.stringify({ taskId: hostile, recipeName: hostile, createdAt: 1777716000000 })] }]));
  await browser.until(`${SUMMARY}.includes("1 of 1 logs match their SHA-256")`);
  await browser.run('document.querySelector("#tab-runs").click()');
  await browser.until('document.querySelector("#panel-runs .grid-row:not(.head) .about")?.textContent.includes("<script>")');
  assert.deepEqual(await browser.run('return [document.querySelectorAll("img").length, document.title]'), [0, "hostile.jsonl.gz – patchwork-traces report"]);
  await drop("cut.jsonl.gz", makeBundle(LOGS).subarray(0, -40));
  await browser.until('document.querySelector("#verdict .bad")');
  assert.match(String(await browser.run(`return ${SUMMARY}`)), /does not inflate[^]*What came before is shown/);
  await expectNoFaults();
});

test("WebKit searches large bundles in workers", async () => {
  const lines = Array.from({ length: 400_000 }, (_, i) => `{"taskId":"t${i}","recipeName":"r","createdAt":${1777716000000 + i * 977},"x":"${(i * 2654435761) % 99991} Ärger"}`);
  await open(undefined, undefined);
  await browser.run("window.made = 0; window.Worker = class extends Worker { constructor(url) { super(url); this.addEventListener('message', () => made++); } };");
  await drop("large.jsonl.gz", makeBundle([{ source: "runs", name: "runs.jsonl", lines }], 9000));
  await browser.until('!document.querySelector("#tabs").hidden');
  await browser.run('document.querySelector("#tab-rows").click()');
  for (const [text, count] of [["T399998", "1 of 400,000 rows"], ["ÄRGER", "400,000 rows"]]) {
    await search(text);
    await browser.until(`${COUNT} === ${JSON.stringify(count)}`, 60);
  }
  assert.ok(Number(await browser.run("return window.made")) > 0, "no worker answered");
  await expectNoFaults();
});
