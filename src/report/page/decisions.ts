/** Decisions and approvals, each with its outcome: rows of several logs joined by `ref` or `callId`. */

import { rowColumn } from "./growable.ts";
import { type Facts, isApproval } from "./row.ts";

const MAX_KEYS = 200_000;

/** The rows that record decisions, and their known outcomes. */
export class Decisions {
  readonly rows = rowColumn();
  private readonly outcomes = new Map<string, string>();
  private readonly requests = new Set<string>();

  /** Adds a row, if it records a decision or an outcome. */
  add(row: number, source: string, facts: Facts) {
    switch (source) {
      case "decision_traces":
        this.rows.push(row);
        break;
      case "outcome-log":
        this.join(row, facts.text("ref", 200), facts.text("outcome", 80));
        break;
      case "approval_log":
        if (facts.text("kind", 20) === "decision") this.join(row, callKey(facts), facts.text("decision", 80));
        else {
          this.rows.push(row);
          if (this.requests.size < MAX_KEYS) this.requests.add(callKey(facts) ?? "");
        }
        break;
      case "worker_gate_decisions":
        this.rows.push(row);
        break;
      case "activity":
        if (isApproval(facts)) this.rows.push(row);
    }
  }

  private join(row: number, key: string | undefined, outcome: string | undefined) {
    const isOfRequest = key === undefined || !key.startsWith("call ") || this.requests.has(key);
    if (key !== undefined && outcome !== undefined && this.outcomes.size < MAX_KEYS) this.outcomes.set(key, outcome);
    if (!isOfRequest || key === undefined) this.rows.push(row);
  }

  /** Returns the outcome of the decision that a row records. */
  outcomeOf(source: string, facts: Facts): string {
    if (source === "decision_traces") return this.outcomes.get(facts.text("ref", 200) ?? "") ?? "";
    if (source === "activity") return facts.inner("metadata")?.text("decision", 80) ?? "";
    const own = facts.text("decision", 80) ?? facts.text("outcome", 80);
    return own ?? this.outcomes.get(callKey(facts) ?? "") ?? (source === "approval_log" ? "no decision" : "");
  }
}

function callKey(facts: Facts): string | undefined {
  const id = facts.text("callId", 200);
  return id && `call ${id}`;
}
