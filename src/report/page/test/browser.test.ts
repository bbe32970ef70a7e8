import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Browser, chromium, firefox, type Page } from "playwright-core";
import { digestOf, LOGS, makeBundle, makePage, makeRecompressed, type TestLog } from "./bundles.ts";

const directory = mkdtempSync(join(tmpdir(), "report-page-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { FIREFOX } = process.env;
const NEEDS_PAPER = { skip: FIREFOX !== undefined && "Firefox can't be told to show a page as on paper" };
let browser: Browser;

before(async () => {
  // Firefox as distributions have it, which speaks WebDriver BiDi.
  if (FIREFOX !== undefined) browser = await firefox.launch({ channel: "moz-firefox", executablePath: FIREFOX });
  else browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
});
after(async () => {
  await browser.close();
  rmSync(directory, { recursive: true });
});

const REPORT = {
  program: "patchwork-traces test", madeAt: "2026-05-02T11:00:00Z", input: { name: "b.jsonl.gz", kind: "bundle" }, verdict: "intact", isGood: true,
  statement: "Every log matches its SHA-256.", rows: 8, findings: [], moreFindings: 0, files: [],
};

interface PageOptions {
  /** Changes the page. */
  spoilPage?: (page: string) => string;
  /** Changes the base64 of the bundle. */
  spoil?: (base64: string) => string;
  bundle?: Buffer;
  report?: object;
  width?: number;
  /** Allows workers. */
  hasWorkers?: boolean;
  /** What the browser may complain about. */
  mayFail?: RegExp;
  scheme?: "light" | "dark";
}

/** Opens a page from disk, and fails the test if the page makes a request, logs an error or throws. */
async function withPage(options: PageOptions, act: (page: Page) => Promise<void>) {
  const file = join(directory, "report.html");
  const base64 = options.bundle?.toString("base64") ?? "";
  const made = makePage(options.bundle, options.report);
  const content = options.spoilPage?.(made) ?? made;
  writeFileSync(file, options.spoil === undefined ? content : content.replace(base64, () => options.spoil?.(base64) ?? ""));
  const page = await browser.newPage({ viewport: { width: options.width ?? 1280, height: 800 }, colorScheme: options.scheme ?? "light" });
  const faults: string[] = [];
  page.on("request", (request) => {
    // A worker is made of the script of the page, in memory.
    const isLocal = request.url() === pathToFileURL(file).href || (options.hasWorkers === true && request.url().startsWith("blob:"));
    if (!isLocal) faults.push(`request: ${request.url()}`);
  });
  page.on("pageerror", (error) => {
    if (options.mayFail?.test(error.message) !== true) faults.push(`error: ${error.message}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error" && options.mayFail?.test(message.text()) !== true) faults.push(`console: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI}`));
  });
  try {
    await page.goto(pathToFileURL(file).href);
    await act(page);
  } finally {
    await page.close();
  }
  assert.deepEqual(faults, []);
}

const withLogs = (logs: TestLog[], act: (page: Page) => Promise<void>) =>
  withPage({ bundle: makeBundle(logs), report: { ...REPORT, digest: digestOf(logs) } }, act);

const checked = (page: Page) => page.waitForFunction(() => document.querySelector("#panel-summary")?.textContent?.includes("logs match their SHA-256"));
const tab = (page: Page, name: string) => page.getByRole("tab", { name }).click();
const rowTexts = (page: Page, panel: string) => page.locator(`#panel-${panel} .layer .grid-row:not([hidden])`).allInnerTexts();

async function drop(page: Page, name: string, content: Buffer) {
  await page.evaluate(
    ([name, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    [name, content.toString("base64")] as const,
  );
}

test("a page that makes a request fails its test, with the policy and without", async () => {
  const spoil = (made: string) => made.replace("<body", '<body><img alt="" src="http://127.0.0.1:54321/x.png"></body><body');
  const bare = (made: string) => spoil(made).replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, "");
  for (const spoilPage of [spoil, bare]) await assert.rejects(withPage({ spoilPage }, (page) => page.waitForTimeout(500)), /127\.0\.0\.1/);
});

test("when a file was changed on disk, a search does not claim that there is nothing", async () => {
  const file = join(directory, "changing.jsonl.gz");
  const lines = Array.from({ length: 300_000 }, (_, i) => `{"createdAt":${1777716000000 + i},"x":"${(i * 2654435761) % 99991}${"y".repeat(60)}"}`);
  writeFileSync(file, makeBundle([{ source: "runs", name: "runs.jsonl", lines }], 5000));
  await withPage({ hasWorkers: true }, async (page) => {
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.locator(".main-action").click()]);
    await chooser.setFiles(file);
    await page.waitForFunction(() => document.querySelector("#tabs")?.hasAttribute("hidden") === false && document.querySelector("#progress")?.textContent === "", undefined, { timeout: 60_000 });
    writeFileSync(file, "changed");
    await tab(page, "Rows");
    await page.getByPlaceholder("Search the text of rows").fill("no such text");
    // Chromium refuses to read the file, Firefox reads what is there now.
    await page.waitForFunction(() => /can't be read any more; was it moved or changed\? Open it again|300,000 can't be read/.test(document.body.innerText), undefined, { timeout: 30_000 });
    if (FIREFOX === undefined) assert.doesNotMatch(await page.locator("#verdict").innerText(), /damaged|match/);
    await page.locator("#panel-rows .count", { hasText: /not searched|can't be read/ }).waitFor();
  });
});

test("opens from disk: verdict, digest and logs, hashed in the page", async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    const summary = await page.locator("#panel-summary").innerText();
    assert.match(summary, /Verdict\s+intact/);
    assert.match(summary, /Bundle digest\s+[0-9a-f]{64}/);
    assert.match(summary, /4 of 4 logs match their SHA-256/);
    assert.match(summary, /runs\.jsonl\s+runs\s+3\s+1\s/);
    assert.equal(await page.title(), "b.jsonl.gz – patchwork-traces report");
  });
});

test("lists runs with recipe, trigger, state and duration, and shows the steps and rows of one", async () => {
  await withLogs(LOGS, async (page) => {
    await tab(page, "Runs");
    await page.waitForFunction(() => document.querySelector("#panel-runs .count")?.textContent === "2 runs");
    const [first, second] = await rowTexts(page, "runs");
    assert.match(first, /2026-05-02 10:05:00\s+triage\s+webhook\s+error\s+9\.0 s\s+1/);
    assert.match(second, /2026-05-02 10:00:00\s+brief\s+cron\s+done\s+5\.0 s\s+2/);
    await page.locator("#panel-runs").getByText("brief", { exact: true }).click();
    const detail = page.locator("#detail");
    await detail.getByText("write · Write").waitFor();
    assert.equal(await detail.locator(".waterfall .bar.bad").evaluate((bar) => (bar as HTMLElement).style.marginLeft), "40%");
    await detail.getByRole("button", { name: "runs.jsonl, line 4" }).click();
    await detail.getByText("Exact line").waitFor();
    assert.match(await detail.innerText(), /Line\s+4/);
  });
});

test("shows decisions with their outcome, and activity by tool", async () => {
  await withLogs(LOGS, async (page) => {
    await tab(page, "Decisions");
    await page.waitForFunction(() => document.querySelector("#panel-decisions .count")?.textContent?.startsWith("2"));
    const decisions = await rowTexts(page, "decisions");
    assert.ok(decisions.some((row) => /#7\s+rows doubled · compare by hash\s+held/.test(row)), decisions.join("\n"));
    assert.ok(decisions.some((row) => /gitPush\s+deny/.test(row)), decisions.join("\n"));
    await tab(page, "Activity");
    assert.match(await page.locator("#panel-activity").innerText(), /Bash\s+2\s+1 \(50\.0 %\)\s+200 ms/);
  });
});

test("searches, filters and sorts rows, and shows a row with its exact numbers", async () => {
  await withLogs(LOGS, async (page) => {
    await tab(page, "Rows");
    const count = page.locator("#panel-rows .count");
    await page.getByPlaceholder("Search the text of rows").fill("12345678901234567890");
    await count.filter({ hasText: "1 of 8 rows" }).waitFor();
    await page.locator("#panel-rows .layer .grid-row").first().click();
    await page.locator("#detail .token-number", { hasText: "12345678901234567890" }).waitFor();
    assert.match(await page.locator("#detail .exact").innerText(), /^\{"seq":2,.*12345678901234567890\}$/s);
    assert.match(await page.locator("#detail").innerText(), /This page hashed the log/);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Clear filters" }).click();
    await count.filter({ hasText: /^8 rows$/ }).waitFor();
    await page.locator("#panel-rows select").nth(0).selectOption("activity");
    await count.filter({ hasText: "3 of 8 rows" }).waitFor();
    await page.locator("#panel-rows select").nth(1).selectOption("error");
    await count.filter({ hasText: "1 of 8 rows" }).waitFor();
    assert.match((await rowTexts(page, "rows"))[0], /Bash · no such file/);
  });
});

test("a range of the timeline limits every list, and can be cleared", async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    await tab(page, "Runs");
    const box = await page.locator(".bars").boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + box.width * 0.8, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 1, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await page.locator("#panel-runs .count", { hasText: "1 of 2 runs" }).waitFor();
    assert.match((await rowTexts(page, "runs"))[0], /triage/);
    await page.getByRole("button", { name: "Clear range" }).click();
    await page.locator("#panel-runs .count", { hasText: /^2 runs$/ }).waitFor();
  });
});

test("the timeline has all rows, also those whose times the manifest does not tell", async () => {
  const lines = (start: number) => Array.from({ length: 50 }, (_, i) => `{"createdAt":${start + i * 60_000}}`);
  const [day, start] = [86_400_000, 1_777_716_000_000];
  const bundle = makeBundle([{ source: "runs", name: "runs.jsonl", lines: lines(start) }, { source: "approval_log", name: "approval_log.jsonl", lines: lines(start + 3 * day) }], 10);
  const span = '"firstTime":"2026-05-02T10:00:00.000Z","lastTime":"2026-05-02T10:49:00.000Z"';
  const text = gunzipSync(bundle).toString().replace('"relativePath":"runs.jsonl"', `"relativePath":"runs.jsonl",${span}`);
  assert.ok(text.includes(span));
  await withPage({}, async (page) => {
    await drop(page, "times.jsonl.gz", gzipSync(text));
    await page.waitForFunction(() => document.querySelector("#progress")?.textContent === "");
    await tab(page, "Rows");
    await page.locator(".timeline-frame").focus();
    await page.keyboard.press("Enter");
    await page.locator("#panel-rows .count", { hasText: /^100 rows$/ }).waitFor();
  });
});

test("works with the keyboard alone", async () => {
  await withLogs(LOGS, async (page) => {
    await page.locator("#tab-summary").focus();
    for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "tab-rows");
    await page.locator("#panel-rows .grid").focus();
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.locator("#detail-title", { hasText: "Bash · no such file" }).waitFor();
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#detail").isHidden());
    await page.locator(".timeline-frame").focus();
    await page.keyboard.press("+");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Clear range" }).waitFor();
    await page.keyboard.press("Escape");
    assert.ok(await page.getByRole("button", { name: "Clear range" }).isHidden());
  });
});

test("prints to PDF: the summary, runs, decisions and activity", NEEDS_PAPER, async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    const pdf = join(directory, "report.pdf");
    await page.pdf({ path: pdf, format: "A4" });
    assert.ok(statSync(pdf).size > 10_000);
    await page.emulateMedia({ media: "print" });
    const text = await page.locator("main").innerText();
    for (const part of ["Every log matches", "SHA-256", "Runs (2)", "Decisions and approvals (2)", "Activity by tool"]) assert.ok(text.includes(part), part);
    assert.ok(await page.getByRole("button", { name: "Open a bundle…" }).first().isHidden());
  });
});

test("on paper, the timeline is as wide as the page, hashes are whole, and unparsed lines have their text", NEEDS_PAPER, async () => {
  await withPage({ bundle: makeBundle(LOGS), report: { ...REPORT, digest: digestOf(LOGS) }, scheme: "dark" }, async (page) => {
    await checked(page);
    const look = () => page.evaluate(() => {
      const bars = document.querySelector<HTMLCanvasElement>(".bars");
      const hash = document.querySelector<HTMLElement>("td.hash code");
      const room = document.querySelector(".timeline-frame")?.getBoundingClientRect().width ?? 0;
      return {
        bars: bars?.getBoundingClientRect().width ?? 0, room, ink: getComputedStyle(document.documentElement).getPropertyValue("--ink").trim(),
        cut: [...document.querySelectorAll<HTMLElement>("td, th")].filter((cell) => cell.offsetWidth > 0 && cell.getBoundingClientRect().right > document.documentElement.clientWidth).length,
        isHashWhole: hash !== null && hash.scrollWidth <= Math.max(hash.clientWidth, hash.offsetWidth) + 1,
      };
    });
    const screen = await look();
    assert.ok(screen.bars > 1000 && !screen.isHashWhole, JSON.stringify(screen));
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 680, height: 900 });
    const paper = await look();
    assert.ok(paper.bars > 300 && paper.bars <= paper.room && paper.isHashWhole, JSON.stringify(paper));
    assert.equal(paper.cut, 0, "columns are cut off");
    assert.match(paper.ink, /^#0(00)+$/);
    assert.match(await page.locator("#printed").innerText(), /Unparsed lines \(1\)[^]*runs\.jsonl\s+2\s+\{"seq":1,"taskId":"t1","cre/);
    await page.emulateMedia({ media: "screen" });
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    assert.equal((await look()).bars, screen.bars);
  });
});

test("at 1280 pixels the table of logs fits, and a hash is copied whole", async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    const { room, content, hash } = await page.evaluate(() => {
      const box = document.querySelector("#panel-summary .table-box");
      const code = document.querySelector("td.hash code");
      if (code !== null) getSelection()?.selectAllChildren(code);
      return { room: box?.clientWidth ?? 0, content: box?.scrollWidth ?? 0, hash: getSelection()?.toString() };
    });
    assert.ok(content <= room, `${content} in ${room}`);
    assert.match(hash ?? "", /^[0-9a-f]{64}$/);
  });
});

test("the lines of a log that are not rows can be read, and the focus comes back", async () => {
  const [runs, ...others] = LOGS;
  const logs = [{ ...runs, lines: [...runs.lines, "torn \u202e<b>"] }, ...others];
  await withLogs(logs, async (page) => {
    await checked(page);
    await page.getByRole("button", { name: "Show 2 unparsed lines of runs.jsonl" }).focus();
    await page.keyboard.press("Enter");
    const detail = page.locator("#detail");
    await detail.getByText("Line 5").waitFor();
    assert.match(await detail.innerText(), /Line 2\s+\{"seq":1,"taskId":"t1","cre\s+Line 5\s+torn U\+202E<b>/);
    await detail.getByRole("button", { name: "Close the pane" }).focus();
    await page.keyboard.press("Enter");
    assert.match((await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))) ?? "", /^Show 2 unparsed/);
  });
});

test("when the pane closes, the focus goes back to the table and the row that it came from", async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    await tab(page, "Runs");
    await page.locator("#panel-runs .grid").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    const link = page.locator("#detail").getByRole("button", { name: "runs.jsonl, line 4" });
    await link.focus();
    await page.keyboard.press("Enter");
    await page.getByText("Exact line").waitFor();
    await page.locator("#detail-close").focus();
    await page.keyboard.press("Enter");
    const focus = await page.evaluate(() => [document.activeElement?.getAttribute("aria-label"), document.querySelector("#panel-runs .grid-row.active")?.getAttribute("aria-rowindex")]);
    assert.deepEqual(focus, ["Runs", "3"]);
  });
});

test("a long text is shown in parts that part no character", async () => {
  const text = `x${"🚀".repeat(70_000)}`;
  await withLogs([{ source: "runs", name: "runs.jsonl", lines: [JSON.stringify({ createdAt: 1777716000000, text })] }], async (page) => {
    await checked(page);
    await tab(page, "Rows");
    await page.locator("#panel-rows .layer .grid-row").first().click();
    await page.locator("#detail .exact").waitFor();
    for (let more = page.getByRole("button", { name: "Show more" }); (await more.count()) > 0; ) await more.first().click();
    const shown = await page.evaluate(() => [".json", ".exact"].map((name) => document.querySelector(`#detail ${name}`)?.textContent ?? ""));
    for (const part of shown) assert.ok(part.includes(text), part.slice(59_900, 60_100));
    assert.equal(await page.locator("#detail .control").count(), 0);
  });
});

test("Clear filters clears the range of time, too", async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    await tab(page, "Rows");
    await page.locator(".timeline-frame").focus();
    for (const key of ["+", "+", "Enter"]) await page.keyboard.press(key);
    await page.locator("#panel-rows .count", { hasText: " of 8 rows" }).waitFor();
    await page.getByRole("button", { name: "Clear filters" }).click();
    await page.locator("#panel-rows .count", { hasText: /^8 rows$/ }).waitFor();
    assert.ok(await page.getByRole("button", { name: "Clear range" }).isHidden());
  });
});

test("logs that the page can't hash are never called intact, only what the program said", async () => {
  const long = "x".repeat(1 << 20);
  const logs = ["a", "b"].map((source) => ({ source, name: `${source}.jsonl`, lines: Array.from({ length: 70 }, (_, i) => `"${source}${i}${long}"`) }));
  const digest = digestOf(logs);
  const report = { ...REPORT, verdict: "intactRecompressed", digest, embedded: { name: "b.jsonl.gz", digest } };
  const text = gunzipSync(makeRecompressed(logs));
  const changed = Buffer.from(text.toString("latin1").replace('"a0x', '"a1x'), "latin1");
  await withPage({ bundle: gzipSync(changed), report }, async (page) => {
    const check = page.getByRole("button", { name: "Check the hashes of all logs" });
    await check.waitFor({ timeout: 60_000 });
    assert.match(await page.locator("#verdict").innerText(), /when verified; not checked here yet$/);
    await check.click();
    await page.locator("#verdict", { hasText: "when verified; not checked here in full" }).waitFor();
    assert.match(await page.locator("#panel-summary").innerText(), /it found: “Every log matches its SHA-256\.” Whether the rows in this page are the same ones is not checked here in full\./);
  });
});

test("is a viewer: shows dropped bundles, also recompressed ones and 1.0", async () => {
  await withPage({}, async (page) => {
    await page.getByText("Drop a trace bundle here").waitFor();
    await drop(page, "first.jsonl.gz", makeBundle(LOGS));
    await checked(page);
    assert.match(await page.locator("#verdict").innerText(), /not verified/);
    await drop(page, "second.jsonl.gz", makeRecompressed(LOGS));
    await page.getByText("so it was read from the start").waitFor();
    await checked(page);
    await drop(page, "old.jsonl.gz", readFileSync(new URL("../../../../fixtures/legacy/plain.v1.0.jsonl.gz", import.meta.url)));
    await page.getByText("format 1.0").waitFor();
    await tab(page, "Rows");
    await page.locator("#panel-rows .count", { hasText: /^\d+ rows$/ }).waitFor();
  });
});

test("says what to do with files that it can't show, and keeps what it shows", async () => {
  await withLogs(LOGS, async (page) => {
    await checked(page);
    await drop(page, "sealed.age", Buffer.from("age-encryption.org/v1\n-> X25519 x\n"));
    await page.locator("#problem", { hasText: "patchwork-traces report FILE -i KEY --embed" }).waitFor();
    await drop(page, "picture.png", Buffer.from("\x89PNG", "latin1"));
    await page.locator("#problem", { hasText: "not a trace bundle" }).waitFor();
    await page.getByRole("button", { name: "Dismiss" }).click();
    assert.equal(await page.locator("#name").innerText(), "b.jsonl.gz");
  });
});

test("rows that were changed in the page are not shown as intact", async () => {
  const digest = async (page: Page) => (await page.locator("#panel-summary .digest").first().innerText()).trim();
  const real = makeBundle(LOGS);
  let known = "";
  await withPage({ bundle: real, report: REPORT }, async (page) => {
    await checked(page);
    known = await digest(page);
    assert.equal(await page.locator("#verdict").innerText(), "does not match its hashes", "the report names no digest");
  });
  const report = { ...REPORT, digest: known };
  await withPage({ bundle: real, report }, async (page) => {
    await checked(page);
    assert.equal(await page.locator("#verdict").innerText(), "intact");
  });
  const changed = makeBundle([{ ...LOGS[1], lines: [LOGS[1].lines[0].replace("hash", "luck")] }]);
  await withPage({ bundle: changed, report }, async (page) => {
    await checked(page);
    assert.equal(await page.locator("#verdict").innerText(), "does not match its hashes");
    const summary = await page.locator("#panel-summary").innerText();
    assert.match(summary, /the digest DIFFERS from the report/);
    assert.doesNotMatch(summary, /Every log matches/);
    assert.equal(await page.locator("#panel-summary .digest").count(), 2);
    assert.ok(summary.includes(known), summary);
  });
});

test("rows of a 1.0 bundle in place of the verified ones are not shown as intact", async () => {
  const legacy = readFileSync(new URL("../../../../fixtures/legacy/plain.v1.0.jsonl.gz", import.meta.url));
  await withPage({ bundle: legacy, report: { ...REPORT, digest: digestOf(LOGS) } }, async (page) => {
    await page.getByText("format 1.0").waitFor();
    assert.equal(await page.locator("#verdict").innerText(), "does not match its hashes");
    const summary = await page.locator("#panel-summary").innerText();
    assert.doesNotMatch(summary, /Every log matches/);
    assert.ok(summary.includes(digestOf(LOGS)), summary);
  });
});

for (const [what, spoil] of [
  ["missing", () => ""],
  ["not base64", (base64: string) => `${base64.slice(0, 100)}*${base64.slice(101)}`],
  ["not gzip", (base64: string) => `X${base64.slice(1)}`],
  ["cut off", (base64: string) => base64.slice(0, base64.length - 8)],
  ["changed", (base64: string) => `${base64.slice(0, -400)}AAAA${base64.slice(-396)}`],
  ["followed by rows", () => gzipSync(Buffer.concat([gunzipSync(makeBundle(LOGS)), Buffer.from('{"source":"runs","entry":{}}\n')])).toString("base64")],
  ["without rows at its end", () => gzipSync(gunzipSync(makeBundle(LOGS)).subarray(0, -300)).toString("base64")],
] as const) {
  test(`a bundle in the page that is ${what} is not shown as intact`, async () => {
    const digest = digestOf(LOGS);
    const files = [{ source: "runs", file: "runs.jsonl", rows: 3, bytes: 9, unparsedLines: 1, sha256: digest, isVerified: true }];
    const report = { ...REPORT, digest, files, embedded: { name: "b.jsonl.gz", digest } };
    await withPage({ bundle: makeBundle(LOGS), report, spoil }, async (page) => {
      await page.locator("#verdict", { hasText: "does not match its hashes" }).waitFor();
      assert.ok(await page.locator("#verdict .bad").isVisible());
      const summary = await page.locator("#panel-summary").innerText();
      assert.doesNotMatch(summary, /Every log matches/);
      assert.ok((await page.locator("#panel-summary .note").count()) > 0);
      if (what === "missing") assert.match(summary, /matched when verified/);
    });
  });
}

test("a report without rows keeps its verdict for the very bundle, and for no other", async () => {
  const notEmbedded = "The rows are not in this report.";
  await withPage({ report: { ...REPORT, digest: digestOf(LOGS), notEmbedded } }, async (page) => {
    const verdict = () => page.locator("#verdict").innerText();
    const summary = () => page.locator("#panel-summary").innerText();
    assert.equal(await verdict(), "intact");
    assert.ok((await summary()).includes(notEmbedded));
    await drop(page, "same.jsonl.gz", makeBundle(LOGS));
    await page.getByText("4 of 4 logs match their SHA-256").waitFor();
    assert.equal(await verdict(), "intact");
    assert.match(await summary(), /Verified\s+2026-05-02 11:00:00 UTC[^]*the digest matches/);
    assert.ok(!(await summary()).includes(notEmbedded));
    await drop(page, "other.jsonl.gz", makeBundle(LOGS.slice(1)));
    await page.getByText("another bundle than the one that the report is about (b.jsonl.gz)").waitFor();
    assert.equal(await verdict(), "not verified by the program");
    assert.doesNotMatch(await summary(), /Every log matches/);
    await drop(page, "same.jsonl.gz", makeRecompressed(LOGS));
    await page.getByText("4 of 4 logs match their SHA-256").waitFor();
    assert.equal(await verdict(), "intact");
  });
});

for (const [what, json] of [["is cut off", '{"verdict":"intact"'], ["is null", "null"], ["has no findings", '{"verdict":"intact","isGood":true}']]) {
  test(`a report that ${what} gives a problem, and the rows`, async () => {
    const spoil = (page: string) => page.replace(/(id="report-data">)[^<]*/, (_, head: string) => head + json);
    await withPage({ bundle: makeBundle(LOGS), report: REPORT, spoilPage: spoil }, async (page) => {
      await page.locator("#problem", { hasText: "What the program wrote of the bundle can't be read" }).waitFor();
      await page.getByText("4 of 4 logs match their SHA-256").waitFor();
      assert.equal(await page.locator("#verdict").innerText(), "not verified by the program");
    });
  });
}

const TEXT = gunzipSync(makeBundle(LOGS));
for (const [what, bundle] of [
  ["several gzip members", Buffer.concat([gzipSync(TEXT.subarray(0, 900)), gzipSync(TEXT.subarray(900, 2000)), gzipSync(Buffer.alloc(0)), gzipSync(TEXT.subarray(2000))])],
  ["zeros after its end", Buffer.concat([makeBundle(LOGS), Buffer.alloc(512)])],
] as const) {
  test(`a sound bundle with ${what} is read`, async () => {
    const digest = digestOf(LOGS);
    const report = { ...REPORT, verdict: "intactRecompressed", digest, embedded: { name: "b.jsonl.gz", digest } };
    await withPage({ bundle, report }, async (page) => {
      await page.getByText("4 of 4 logs match their SHA-256").waitFor();
      assert.equal(await page.locator("#verdict").innerText(), "intact, recompressed by another program");
      assert.ok(await page.locator("#problem").isHidden());
    });
  });
}

const HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202etxt.exe\u0007";

test("hostile text is shown as text, with what is hidden made visible", async () => {
  const line = JSON.stringify({ taskId: HOSTILE, recipeName: HOSTILE, status: HOSTILE, createdAt: 1777716000000, [HOSTILE]: HOSTILE });
  const logs = [
    { source: `x${HOSTILE.replaceAll("/", "")}`, name: `x${HOSTILE.replaceAll("/", "")}.jsonl`, lines: [line, HOSTILE] },
    { source: "runs", name: "runs.jsonl", lines: [line] },
  ];
  const report = { ...REPORT, input: { name: HOSTILE, kind: "bundle" }, statement: HOSTILE, findings: [{ severity: HOSTILE, message: HOSTILE }] };
  await withPage({ bundle: makeBundle(logs), report }, async (page) => {
    await checked(page);
    assert.match(await page.locator("h1").innerText(), /<script>alert\(1\)<\/script>.*⟨U\+202E⟩txt/);
    for (const name of ["Runs", "Decisions", "Activity", "Rows"]) await tab(page, name);
    await page.locator("#panel-rows .layer .grid-row").first().click();
    await page.locator("#detail .exact").waitFor();
    assert.match(await page.locator("#detail .exact").innerText(), /<\/script><script>.*U\+202E/s);
    const marks = await page.evaluate(() => [document.querySelectorAll("img").length, document.querySelectorAll("script").length, document.body.innerText.includes("\u202e")]);
    assert.deepEqual(marks, [0, 2, false]);
  });
});

/** Runs `act` and returns the longest time for which the page did not react, in milliseconds. */
async function longestHang(page: Page, act: () => Promise<void>): Promise<number> {
  await page.evaluate(() => {
    const state = window as unknown as { longest: number; last: number };
    [state.longest, state.last] = [0, performance.now()];
    setInterval(() => {
      const now = performance.now();
      state.longest = Math.max(state.longest, now - state.last);
      state.last = now;
    }, 10);
  });
  await act();
  return page.evaluate(() => (window as unknown as { longest: number }).longest);
}

test("a string of 10 MB, a million keys, deep nesting and a hundred thousand tiny rows never make it hang", async () => {
  const keys = Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":${i}`).join(",");
  const logs = [
    { source: "a", name: "a.jsonl", lines: [`{"x":"${"y\\u202e".repeat(1_500_000)}"}`, `{${keys}}`, `${"[".repeat(120)}${"]".repeat(120)}`] },
    { source: "b", name: "b.jsonl", lines: Array.from({ length: 100_000 }, () => "0") },
    { source: "runs", name: "runs.jsonl", lines: Array.from({ length: 20_000 }, (_, i) => `{"taskId":"${i}","recipeName":"r${i}","trigger":"t${i}","status":"s${i}","tool":"u${i}","createdAt":${i * 1e9},"durationMs":1e400}`) },
  ];
  await withPage({}, async (page) => {
    const hang = await longestHang(page, async () => {
      await drop(page, "hostile.jsonl.gz", makeBundle(logs));
      await page.waitForFunction(() => document.querySelector("#panel-summary")?.textContent?.includes("3 of 3 logs match"), undefined, { timeout: 60_000 });
      await tab(page, "Rows");
      for (const row of [0, 1, 2]) {
        await page.locator("#panel-rows .layer .grid-row").nth(row).click();
        await page.locator("#detail dd", { hasText: new RegExp(`^${row + 1}$`) }).waitFor();
      }
      await page.getByPlaceholder("Search the text of rows").fill("YYYYYYY(((((");
      await page.locator("#panel-rows .count", { hasText: /^0 of 120,003 rows$/ }).waitFor();
      await tab(page, "Runs");
    });
    assert.ok(hang < 5000, `${hang} ms`);
  });
});

test("large bundles are searched in workers, and without them if there are none", async () => {
  const lines = Array.from({ length: 400_000 }, (_, i) => `{"taskId":"t${i}","recipeName":"r","createdAt":${1777716000000 + i * 977},"x":"${(i * 2654435761) % 99991} Ärger"}`);
  const bundle = makeBundle([{ source: "runs", name: "runs.jsonl", lines }], 9000);
  const search = async (page: Page) => {
    await drop(page, "large.jsonl.gz", bundle);
    await tab(page, "Rows");
    for (const [text, count] of [["T399998", "1"], ['"t12345', "11"], ["\u00e4rger\"", "400,000"], ["ÄRGER", "400,000"], ['"source"', "0"]]) {
      await page.getByPlaceholder("Search the text of rows").fill(text);
      await page.locator("#panel-rows .count", { hasText: count === "400,000" ? /^400,000 rows$/ : new RegExp(`^${count} of 400,000 rows$`) }).waitFor({ timeout: 60_000 });
    }
  };
  await withPage({ hasWorkers: true }, async (page) => {
    const started = page.waitForEvent("worker");
    await search(page);
    await started;
    await page.waitForFunction(() => document.querySelector("#progress")?.textContent === "");
    const deadline = Date.now() + 10_000;
    while (page.workers().length > 0 && Date.now() < deadline) await page.waitForTimeout(100);
    assert.equal(page.workers().length, 0, "idle workers end");
  });
  const withoutWorkers = (made: string) => made.replace("worker-src blob:", "worker-src 'none'");
  await withPage({ spoilPage: withoutWorkers, mayFail: /worker-src/ }, async (page) => {
    await search(page);
    assert.equal(page.workers().length, 0);
  });
});

test("rows in view stay, even if their chunks don't fit in memory together", async () => {
  const lines = Array.from({ length: 60 }, (_, i) => `{"createdAt":${1777716000000 + i},"x":"${i}","y":"${"y".repeat(1 << 20)}"}`);
  await withPage({}, async (page) => {
    await drop(page, "wide.jsonl.gz", makeBundle([{ source: "runs", name: "runs.jsonl", lines }], 1));
    await tab(page, "Rows");
    const areShown = () => {
      const rows = [...document.querySelectorAll("#panel-rows .layer .grid-row:not([hidden])")];
      return rows.length > 15 && rows.every((row) => !row.classList.contains("loading"));
    };
    await page.waitForFunction(areShown, undefined, { timeout: 60_000 });
  });
});

test("a bundle that inflates to far more than it says is stopped", async () => {
  const bundle = makeRecompressed([{ source: "runs", name: "runs.jsonl", lines: ["1"] }]);
  const text = Buffer.concat([gunzipSync(bundle), Buffer.alloc(400 << 20, "0\n")]);
  await withPage({}, async (page) => {
    const hang = await longestHang(page, async () => {
      await drop(page, "bomb.jsonl.gz", gzipSync(text, { level: 1 }));
      await page.getByText("far more than its manifest says").waitFor({ timeout: 30_000 });
    });
    assert.ok(hang < 5000, `${hang} ms`);
  });
});

for (const [width, scheme] of [[390, "dark"], [1280, "light"], [2560, "dark"]] as const) {
  test(`axe finds nothing at a width of ${width} in ${scheme}`, async () => {
    await withPage({ bundle: makeBundle(LOGS), report: { ...REPORT, findings: [{ severity: "warning", message: "a line is not JSON" }] }, width, scheme }, async (page) => {
      await checked(page);
      // A policy forbids the page's scripts to evaluate text; the test's own tool goes around it.
      await page.evaluate(axe);
      for (const name of ["Summary", "Runs", "Decisions", "Activity", "Rows"]) {
        await tab(page, name);
        if (name === "Runs" || name === "Rows") await page.locator(`#panel-${name.toLowerCase()} .layer .grid-row`).last().click();
        const violations = await page.evaluate(async () => {
          const found = await (window as unknown as { axe: { run: () => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run();
          return found.violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html).join(" | ").slice(0, 600)}`);
        });
        assert.deepEqual(violations, [], name);
        if (width < 1000 && (await page.locator("#detail").isVisible())) await page.locator("#detail-close").click();
      }
    });
  });
}

test("the page without rows has at most 150 kB, and no way to make markup of text", () => {
  const page = makePage(undefined, undefined);
  assert.ok(page.length <= 150_000, String(page.length));
  for (const sink of ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]) assert.ok(!page.includes(sink), sink);
});
