/** The printed part besides the summary: unparsed lines, runs, decisions and activity as plain tables. */

import { decided } from "./about.ts";
import { toolUses } from "./activity.ts";
import { type Child, el, plainTable } from "./dom.ts";
import { exactOf, textOf } from "./exact.ts";
import { duration, number, second } from "./format.ts";
import { sortByKey } from "./growable.ts";
import type { UnparsedLines } from "./manifest.ts";
import type { Model } from "./model.ts";
import { ALL_TIME } from "./range.ts";
import { Facts } from "./row.ts";
import { head, visible } from "./visible.ts";

const MAX_PRINTED = 100;
const MAX_PRINTED_TEXT = 500;

/** Returns the printed part of a model. `decisionCells` are of its newest decisions. */
export function printed(model: Model, decisionCells: Child[][]): HTMLElement[] {
  const part = Math.floor((model.indexed / Math.max(1, model.rows)) * 100);
  const warning = `Only ${part} % of the rows were read when this was printed, so the tables of runs, decisions and activity are incomplete.`;
  const note = model.isIndexed ? [] : [el("p", { class: "warning" }, warning)];
  return [...note, ...unparsed(model), ...runs(model), ...decisions(model, decisionCells), ...activity(model)];
}

function section(title: string, total: number, table: HTMLElement, others = "older ones"): HTMLElement[] {
  if (total === 0) return [];
  const rest = total - MAX_PRINTED;
  const note = rest > 0 ? [el("p", { class: "muted" }, `The ${number(rest)} ${others} aren't printed.`)] : [];
  return [el("h2", {}, `${title} (${number(total)})`), table, ...note];
}

function unparsed({ files }: Model): HTMLElement[] {
  const all = files.flatMap((file) => file.unparsed.map((lines) => ({ file, lines })));
  const cells = all.slice(0, MAX_PRINTED).map(({ file, lines }): Child[] => {
    const text = textOf(exactOf(lines));
    const start = head(text, MAX_PRINTED_TEXT);
    return [visible(file.name), linesOf(lines), visible(start.length < text.length ? `${start}…` : start)];
  });
  const columns = [{ title: "Log" }, { title: "Line", kind: "number" as const }, { title: "Text", kind: "prose" as const }];
  return section("Unparsed lines", all.length, plainTable("Unparsed lines", columns, cells), "others");
}

function linesOf({ line, lines }: UnparsedLines): string {
  return lines === 1 ? number(line) : `${number(line)}–${number(line + lines - 1)}`;
}

function runs({ runs, stateNames }: Model): HTMLElement[] {
  const all = Uint32Array.from({ length: runs.count }, (_, run) => run);
  const newest = sortByKey(all, runs.starts.values(), true).subarray(0, MAX_PRINTED);
  const cells = Array.from(newest, (run): Child[] => [
    second(runs.starts.get(run)),
    visible(runs.recipeNames.name(runs.recipes.get(run))),
    visible(runs.triggerNames.name(runs.triggers.get(run))),
    visible(stateNames.name(runs.states.get(run))),
    duration(runs.durations.get(run)),
  ]);
  const columns = [{ title: "Started (UTC)" }, { title: "Recipe" }, { title: "Trigger" }, { title: "State" }, { title: "Took", kind: "number" as const }];
  return section("Runs", runs.count, plainTable("Runs", columns, cells));
}

/** Reads the newest decisions, which may not be in memory when the page is printed. */
export async function readDecisions(model: Model): Promise<Child[][]> {
  const newest = sortByKey(model.decisions.rows.values().slice(), model.times, true).subarray(0, MAX_PRINTED);
  const cells: Child[][] = [];
  for (const row of newest) {
    const text = await model.text(row).catch(() => undefined);
    const { source } = model.fileOf(row);
    const facts = text && new Facts(text.bytes, text.entryAt, text.entryEnd);
    const [decision, outcome] = facts === undefined ? ["(can't be read)", ""] : [decided(source, facts), model.decisions.outcomeOf(source, facts)];
    cells.push([second(model.times[row]), visible(source), visible(decision), visible(outcome)]);
  }
  return cells;
}

function decisions(model: Model, cells: Child[][]): HTMLElement[] {
  if (cells.length === 0) return [];
  const columns = [{ title: "Time (UTC)" }, { title: "Source" }, { title: "Decision" }, { title: "Outcome" }];
  return section("Decisions and approvals", model.decisions.rows.length, plainTable("Decisions and approvals", columns, cells));
}

function activity(model: Model): HTMLElement[] {
  const uses = toolUses(model, ALL_TIME);
  const cells = uses.map((use): Child[] => [visible(use.tool), number(use.calls), number(use.errors), duration(use.median), duration(use.longest)]);
  const columns = [
    { title: "Tool or event" }, { title: "Calls", kind: "number" as const }, { title: "Errors", kind: "number" as const },
    { title: "Median", kind: "number" as const }, { title: "Longest", kind: "number" as const },
  ];
  if (uses.length === 0) return [];
  return [el("h2", {}, "Activity by tool"), plainTable("Activity by tool", columns, cells)];
}
