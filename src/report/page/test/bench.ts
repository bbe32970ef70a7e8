/** Measures the page with a large bundle in Chromium: `npm run bench -- BUNDLE`. See docs/speed.md for how to make one. */

import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";

const bundle = process.argv[2];
if (bundle === undefined) throw new Error("usage: npm run bench -- BUNDLE");
const PAGE = fileURLToPath(new URL("../../page.html", import.meta.url));

/** Each sample takes 10 ms of CPU for a page of 400 MB, which what is measured would have to do without. */
const SAMPLE_MS = 500;

/** Memory of the page's process, sampled until it is stopped. */
class MemoryWatch {
  private resident = 0;
  private own = 0;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(private readonly pid: number) {
    this.timer = setInterval(() => this.sample(), SAMPLE_MS);
  }

  private sample() {
    const text = readFileSync(`/proc/${this.pid}/smaps_rollup`, "utf8");
    const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(text)?.[1] ?? 0) / 1e3;
    this.resident = Math.max(this.resident, of("Rss"));
    this.own = Math.max(this.own, of("Private_Dirty") + of("Private_Clean"));
  }

  /** Returns the most memory since the last call, in MB. */
  peak(): string {
    this.sample();
    const text = `${this.own.toFixed(0)} MB of its own, ${this.resident.toFixed(0)} MB resident`;
    [this.own, this.resident] = [0, 0];
    return text;
  }

  stop() {
    clearInterval(this.timer);
  }
}

interface ProcessInfo {
  processInfo: { type: string; id: number; cpuTime: number }[];
}

async function renderers(browser: Browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = (await session.send("SystemInfo.getProcessInfo")) as ProcessInfo;
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer");
}

/** Returns the milliseconds from `act` until `isDone`, by the clock of the page and to the next frame after it. */
function timed(page: Page, act: string, isDone: string): Promise<number> {
  return page.evaluate(`new Promise((resolve) => {
    const start = performance.now();
    ${act};
    const look = () => (${isDone}) ? requestAnimationFrame(() => resolve(performance.now() - start)) : requestAnimationFrame(look);
    look();
  })`);
}

const COUNT = `document.querySelector("#panel-rows .count").textContent`;
const FIRST = `document.querySelector("#panel-rows .layer .grid-row:not([hidden]):not(.loading) .cell.text")?.textContent ?? ""`;

/** Types a text into the search field. Returns how long it takes until the row is there, and until all rows are searched. */
async function search(page: Page, text: string): Promise<[number, number]> {
  const act = `{
    const field = document.querySelector("#panel-rows input[type=search]");
    field.value = ${JSON.stringify(text)};
    field.dispatchEvent(new Event("input"));
  }`;
  const shown = await timed(page, `window.searched = performance.now(); ${act}`, `${COUNT}.startsWith("1 of") && (${FIRST}) !== ""`);
  await timed(page, "", `${COUNT}.startsWith("1 of") && !${COUNT}.includes("so far")`);
  const all = await page.evaluate<number>(`performance.now() - window.searched`);
  await timed(page, act.replace(JSON.stringify(text), '""'), `!${COUNT}.includes(" of ")`);
  return [shown, all];
}

/** Scrolls through the rows for three seconds. Returns the frames a second, and the longest time between two. */
function scroll(page: Page, pixels: number): Promise<{ rate: number; longest: number }> {
  return page.evaluate(`new Promise((resolve) => {
    const scroller = document.querySelector("#panel-rows .scroller");
    const start = performance.now();
    let [frames, last, longest] = [0, start, 0];
    const next = (now) => {
      if (frames > 0) longest = Math.max(longest, now - last);
      last = now;
      frames++;
      scroller.scrollTop += ${pixels};
      if (now - start < 3000) requestAnimationFrame(next);
      else resolve({ rate: frames / (now - start) * 1000, longest });
    };
    requestAnimationFrame(next);
  })`);
}

/** Returns a text that only the row at `part` of all rows has. */
async function needleAt(page: Page, part: number): Promise<string> {
  await page.evaluate(`{
    const scroller = document.querySelector("#panel-rows .scroller");
    scroller.scrollTop = ${part} * (scroller.scrollHeight - scroller.clientHeight);
  }`);
  await page.waitForTimeout(1500);
  await page.locator("#panel-rows .layer .grid-row:not([hidden])").nth(3).click();
  await page.locator("#detail .exact").waitFor();
  const text = await page.locator("#detail .exact").innerText();
  await page.keyboard.press("Escape");
  return text.slice(0, 120);
}

const seconds = (millis: number) => `${(millis / 1000).toFixed(2)} s`;
const load = () => loadavg()[0].toFixed(1);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
await page.goto(pathToFileURL(PAGE).href);
await page.evaluate(`{
  const input = document.createElement("input");
  [input.type, input.id, input.hidden] = ["file", "bench-file", true];
  document.body.append(input);
}`);
await page.setInputFiles("#bench-file", bundle);
const cpuBefore = new Map((await renderers(browser)).map(({ id, cpuTime }) => [id, cpuTime]));
const used = async () => {
  const now = (await renderers(browser)).map(({ id, cpuTime }) => ({ id, cpu: cpuTime - (cpuBefore.get(id) ?? 0) }));
  const most = now.sort((a, b) => b.cpu - a.cpu)[0];
  return most;
};
// The process of the page is the one that works.
await page.evaluate("{ const start = performance.now(); while (performance.now() - start < 2000); }");
const { id: pid } = await used();
const drop = `{
  const data = new DataTransfer();
  data.items.add(document.querySelector("#bench-file").files[0]);
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}`;
console.log(`load ${load()}`);
console.log(`overview  ${seconds(await timed(page, drop, `!document.querySelector("#tabs").hidden`))}`);
const memory = new MemoryWatch(pid);
if (process.argv[3] !== "--no-index") {
  const start = performance.now();
  await timed(page, "", `document.querySelector("#progress").textContent === ""`);
  console.log(`indexing  ${seconds(performance.now() - start)}, ${((await used()).cpu).toFixed(1)} s of CPU, ${memory.peak()}, load ${load()}`);
}
await page.getByRole("tab", { name: "Rows" }).click();
for (const part of [0.25, 0.5, 0.75, 1]) {
  const needle = await needleAt(page, part);
  memory.peak();
  const before = (await used()).cpu;
  const [shown, all] = await search(page, needle);
  console.log(`search    row at ${part * 100} %: shown after ${seconds(shown)}, all searched after ${seconds(all)}, ${((await used()).cpu - before).toFixed(1)} s of CPU, ${memory.peak()}, load ${load()}`);
}
for (const pixels of [100, 5000]) {
  const { rate, longest } = await scroll(page, pixels);
  console.log(`scrolling by ${pixels} pixels a frame: ${rate.toFixed(0)} frames a second, at most ${longest.toFixed(0)} ms between two, ${memory.peak()}, load ${load()}`);
}
memory.stop();
await browser.close();
