/** The pane that shows one row, one run with its steps and rows, or the lines of a log that are not rows. */

import { button, byId, type Child, el, link, stateMark } from "./dom.ts";
import { type ExactLine, exactOf, textOf } from "./exact.ts";
import { duration, number, time, tone } from "./format.ts";
import { decode, layOut } from "./json.ts";
import type { LogFile } from "./manifest.ts";
import type { Model } from "./model.ts";
import type { LogCheck } from "./restore.ts";
import { Facts, isEntryOfLine, readOriginal, type RowText } from "./row.ts";
import { MAX_STEPS, type Step, stepsOf } from "./runs.ts";
import { head, parts, visible } from "./visible.ts";
import { about } from "./about.ts";

const PART_CHARACTERS = 60_000;
const MAX_RUN_ROWS = 200;
const MAX_UNPARSED = 100;

/** The parts of the page that the pane needs. */
export interface DetailContext {
  model: Model;
  checkOf: (file: number) => LogCheck | undefined;
  showRow: (row: number) => void;
  showRun: (run: number) => void;
}

/** Shows a row. */
export async function showRow(context: DetailContext, row: number): Promise<void> {
  const { model } = context;
  const chunk = model.chunkOf(row);
  const file = model.bundle.chunks[chunk].file;
  const log = model.files[file];
  const text = await model.text(row).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  if (typeof text === "string" || text === undefined) {
    open(`Row ${number(row + 1)}`, el("p", {}, `This row can't be shown: ${text ?? "it is not a row"}.`));
    return;
  }
  const facts = new Facts(text.bytes, text.entryAt, text.entryEnd);
  const state = model.stateNames.name(model.states[row]);
  const millis = facts.time(log.source);
  const list = definitions([
    ["Log", `${visible(log.name)} (${log.base})`],
    ["Line", number(model.lineOf(row))],
    ["Source", visible(log.source)],
    ["Time", Number.isNaN(millis) ? "none" : `${time(millis)} UTC`],
    ["State", state === "" ? undefined : stateMark(state, tone(state))],
    ["Proof", !isEntryOfLine(text.bytes, text) ? "NOT proven: the row differs from its exact line, which is below." : proof(context.checkOf(file), model.bundle.chunks[chunk].crc32 !== undefined)],
  ]);
  const taskId = facts.place("taskId");
  const run = log.source === "runs" || log.source === "run_steps" ? model.runs.find(taskId && text.bytes.subarray(...taskId)) : undefined;
  const runLink = run === undefined ? undefined : link("Show the run", () => context.showRun(run));
  const exact = exactLine(text);
  open(about(log.source, facts) || `Row ${number(row + 1)}`, list, runLink, waterfall(stepsOf([text])), ...json(text), ...exactView(exact));
}

/** Shows a run. */
export async function showRun(context: DetailContext, run: number): Promise<void> {
  const { model } = context;
  const { runs } = model;
  const rows = runs.rowsOf(run, MAX_RUN_ROWS);
  const last = runs.last.get(run);
  const texts: RowText[] = [];
  for (const row of new Set([...rows, last])) {
    const text = await model.text(row).catch(() => undefined);
    if (text !== undefined && (row === last || model.fileOf(row).source === "run_steps")) texts.push(text);
  }
  const lastText = await model.text(last).catch(() => undefined);
  const facts = lastText && new Facts(lastText.bytes, lastText.entryAt, lastText.entryEnd);
  const state = model.stateNames.name(runs.states.get(run));
  const start = runs.starts.get(run);
  const output = facts?.text("errorMessage", 4000) ?? facts?.text("outputTail", 4000);
  const list = definitions([
    ["Task", visible(facts?.text("taskId", 200) ?? "")],
    ["Trigger", visible(runs.triggerNames.name(runs.triggers.get(run)))],
    ["State", stateMark(state || "unknown", tone(state))],
    ["Started", Number.isNaN(start) ? "unknown" : `${time(start)} UTC`],
    ["Took", duration(runs.durations.get(run)) || "unknown"],
    ["Output", output === undefined ? undefined : prose(output)],
  ]);
  const links = rows.map((row) => {
    const what = [time(model.times[row]), model.stateNames.name(model.states[row])].filter((part) => part !== "").join("  ");
    const opened = link(`${model.fileOf(row).name}, line ${number(model.lineOf(row))}`, () => context.showRow(row));
    return el("li", {}, opened, el("span", { class: "muted" }, visible(what)));
  });
  const count = runs.rowCounts.get(run);
  const more = count > rows.length ? el("p", { class: "muted" }, `${number(count - rows.length)} more rows aren't listed.`) : undefined;
  const title = runs.recipeNames.name(runs.recipes.get(run)) || "Run";
  open(title, list, waterfall(stepsOf(texts)), heading(`Rows (${number(count)})`), el("ul", { class: "links" }, ...links), more);
}

/** Shows the lines of a log that are not rows. */
export function showUnparsed(log: LogFile) {
  const list = el("div", {});
  let at = 0;
  const next = () => {
    for (const unparsed of log.unparsed.slice(at, at + MAX_UNPARSED)) {
      const { line, lines } = unparsed;
      const title = lines === 1 ? `Line ${number(line)}` : `Lines ${number(line)} to ${number(line + lines - 1)}`;
      const exact = exactOf(unparsed);
      const shown = exactText(exact, textOf(exact), title).filter((child) => child !== undefined);
      list.append(heading(title), ...shown);
    }
    at += MAX_UNPARSED;
    return at < log.unparsed.length;
  };
  const intro = el("p", {}, "These lines of the log are not JSON, so they are not rows. The bundle keeps them, and import restores them.");
  const count = definitions([["Log", `${visible(log.name)} (${log.base})`], ["Unparsed lines", number(log.unparsedLines)]]);
  open("Unparsed lines", count, intro, list, ...growing(next));
}

function open(title: string, ...children: Child[]) {
  const pane = byId("detail");
  // A link in the pane opens another row in it, but closing it still returns the focus to where the pane was first opened.
  if (!pane.contains(document.activeElement)) opener = document.activeElement;
  byId("detail-title").textContent = visible(title);
  byId("detail-body").replaceChildren(...children.filter((child) => child !== undefined));
  byId("detail-body").scrollTop = 0;
  pane.hidden = false;
  document.body.classList.add("has-detail");
}

/** The element that had the focus when the pane was opened. */
let opener: Element | null = null;

/** Closes the pane. The focus goes back to where it was. */
export function closeDetail() {
  const pane = byId("detail");
  const hadFocus = pane.contains(document.activeElement) || document.activeElement === document.body;
  const isOpen = !pane.hidden;
  pane.hidden = true;
  document.body.classList.remove("has-detail");
  if (!isOpen || !hadFocus) return;
  // That element may have been redrawn.
  const again = opener?.isConnected === false && opener.id !== "" ? document.getElementById(opener.id) : opener;
  if (again instanceof HTMLElement) again.focus();
}

function definitions(entries: [string, Child][]): HTMLElement {
  const shown = entries.filter(([, value]) => value !== undefined && value !== "");
  return el("dl", {}, ...shown.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
}

/** Returns text of several lines. */
function prose(text: string): HTMLElement {
  const element = el("span", { class: "prose" });
  element.append(...marked(text));
  return element;
}

function heading(text: string): HTMLElement {
  return el("h3", {}, text);
}

function proof(check: LogCheck | undefined, hasChecksum: boolean): string {
  const row = hasChecksum ? "The row matches the checksum of its chunk" : "The row was read from the start of the bundle";
  switch (check) {
    case "matches":
      return "This page hashed the log: it matches the SHA-256 in the manifest.";
    case "differs":
    case "unreadable":
      return "NOT proven: the log does not match the SHA-256 in the manifest.";
    case "no hash":
      return "Not proven: the bundle has no hashes.";
    case "too long":
      return `${row}. The log is too long for this page to hash; "patchwork-traces verify" does.`;
    default:
      return `${row}. The hash of its log is not checked yet.`;
  }
}

function waterfall({ steps, hasMore }: { steps: Step[]; hasMore: boolean }): HTMLElement | undefined {
  if (steps.length === 0) return undefined;
  const end = steps.reduce((latest, step) => Math.max(latest, step.start + step.duration), 1);
  const items = steps.map((step) => {
    const bar = el("span", { class: `bar ${tone(step.state)}` });
    bar.style.marginLeft = `${Math.max(0, Math.min(99, (step.start / end) * 100))}%`;
    bar.style.width = `${Math.max(0.5, Math.min(100, (step.duration / end) * 100))}%`;
    const name = [step.id, step.tool].filter((part) => part !== "").join(" · ");
    return el(
      "li",
      {},
      el("span", { class: "step-name" }, visible(name)),
      stateMark(step.state || "unknown", tone(step.state)),
      el("span", { class: "step-time" }, duration(step.duration)),
      el("span", { class: "track" }, bar),
      step.error === undefined ? undefined : prose(step.error),
    );
  });
  const more = hasMore ? el("p", { class: "muted" }, `Only the first ${MAX_STEPS} steps are shown.`) : undefined;
  return el("div", {}, heading(`Steps (${steps.length})`), el("ol", { class: "waterfall" }, ...items), more);
}

function exactLine(text: RowText): ExactLine {
  const original = text.originalAt === -1 ? undefined : readOriginal(text.bytes, text.originalAt, text.originalEnd);
  return original ?? { text: decode(text.bytes, text.entryAt, text.entryEnd) };
}

/** Returns the formatted entry, with each number and string as it is in the log. */
function json(text: RowText): HTMLElement[] {
  const tokens = layOut(decode(text.bytes, text.entryAt, text.entryEnd));
  const pre = el("pre", { class: "json", tabindex: "0", "aria-label": "JSON of the row" });
  const rest = { text: "", kind: "" };
  const next = () => {
    let budget = PART_CHARACTERS;
    if (rest.text !== "") budget -= append(rest.kind, rest.text);
    while (budget > 0) {
      const token = tokens.next();
      if (token.done === true) return false;
      budget -= append(token.value.kind, token.value.text) + 4;
    }
    return true;
  };
  const append = (kind: string, value: string): number => {
    const now = head(value, PART_CHARACTERS);
    [rest.text, rest.kind] = [value.slice(now.length), kind];
    if (kind === "space" || kind === "mark") pre.append(now);
    else {
      const span = el("span", { class: `token-${kind}` });
      span.append(...marked(now));
      pre.append(span);
    }
    return rest.text === "" ? now.length : PART_CHARACTERS;
  };
  return [heading("JSON"), pre, ...growing(next)];
}

/** Calls `next`, and again for each click on the button, until it returns false. */
function growing(next: () => boolean): HTMLElement[] {
  if (!next()) return [];
  const more = button("Show more", () => next() || more.remove(), { class: "more" });
  return [more];
}

/** Returns text with its hidden characters marked. */
function marked(text: string): (Node | string)[] {
  return [...parts(text)].map((part) => (part.isHidden ? el("span", { class: "control" }, part.text) : part.text));
}

function exactView(exact: ExactLine): Child[] {
  const full = textOf(exact);
  const copy = link("Copy", () => {
    navigator.clipboard.writeText(full).then(
      () => (copy.textContent = "Copied"),
      () => (copy.textContent = "Copying failed"),
    );
  });
  return [el("div", { class: "heading-row" }, heading("Exact line"), copy), ...exactText(exact, full, "Exact line of the log")];
}

/** Returns the exact text of lines, with bytes that are not text marked. */
function exactText(exact: ExactLine, full: string, label: string): Child[] {
  const note = "text" in exact ? undefined : el("p", { class: "muted" }, "This is not valid UTF-8. Bytes that are not text are shown as \\xNN.");
  const pre = el("pre", { class: "exact", tabindex: "0", "aria-label": label });
  let at = 0;
  const next = () => {
    const part = head(full.slice(at), PART_CHARACTERS);
    pre.append(...marked(part));
    at += part.length;
    return at < full.length;
  };
  return [note, pre, ...growing(next)];
}
