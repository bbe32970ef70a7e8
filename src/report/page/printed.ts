/** What is printed beside the summary: unparsed lines, runs, decisions and activity as plain tables. */

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

/** Returns the printed part of a model. */
export function printed(model: Model): HTMLElement[] {
  return [...unparsed(model), ...runs(model), ...decisions(model), ...activity(model)];
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

function decisions(model: Model): HTMLElement[] {
  const rows = model.decisions.rows.values();
  const newest = sortByKey(rows.slice(), model.times, true).subarray(0, MAX_PRINTED);
  const cells = Array.from(newest, (row): Child[] => {
    const text = model.peek(row);
    const { source } = model.fileOf(row);
    if (text === undefined) return [second(model.times[row]), source, "(not in memory)", ""];
    const facts = new Facts(text.bytes, text.entryAt, text.entryEnd);
    return [second(model.times[row]), visible(source), visible(decided(source, facts)), visible(model.decisions.outcomeOf(source, facts))];
  });
  const columns = [{ title: "Time (UTC)" }, { title: "Source" }, { title: "Decision" }, { title: "Outcome" }];
  return section("Decisions and approvals", rows.length, plainTable("Decisions and approvals", columns, cells));
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
