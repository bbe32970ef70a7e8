/** Summarises rows in a few words. */

import type { Facts } from "./row.ts";

/** Returns a summary of a row of `source`, or an empty string for an unknown kind of row. */
export function about(source: string, facts: Facts): string {
  switch (source) {
    case "runs":
    case "run_steps":
      return joined(facts.text("recipeName", 120), facts.text("trigger", 60));
    case "decision_traces":
      return joined(facts.text("ref", 80), facts.text("problem"));
    case "commit_issue_links":
      return joined(facts.text("sha", 80)?.slice(0, 10), facts.text("linkType", 40), facts.text("ref", 80), facts.text("subject"));
    case "activity":
      return joined(facts.text("tool", 120) ?? facts.text("event", 120), facts.text("errorMessage"));
    default:
      return joined(
        facts.text("tool", 120) ?? facts.text("toolName", 120) ?? facts.text("recipeName", 120),
        facts.text("ref", 80),
        facts.text("summary"),
      );
  }
}

/** Returns a summary of a decision. */
export function decided(source: string, facts: Facts): string {
  switch (source) {
    case "decision_traces":
      return joined(facts.text("problem"), facts.text("solution"));
    case "activity":
      return facts.inner("metadata")?.text("toolName") ?? facts.text("event") ?? "";
    default:
      return joined(facts.text("toolName", 120) ?? facts.text("tool", 120) ?? facts.text("recipeName", 120), facts.text("summary"));
  }
}

function joined(...texts: (string | undefined)[]): string {
  return texts.filter((text) => text !== undefined && text !== "").join(" · ");
}
