/** The data that the program wrote into the page (src/report/data.rs). test/reports/ has examples. */

import type { Tone } from "./format.ts";

/** The report of the program. */
export interface ReportData {
  program: string;
  madeAt: string;
  input: { name: string; kind: "bundle" | "history" };
  verdict: string;
  isGood: boolean;
  digest?: string;
  statement: string;
  rows: number;
  findings: { severity: string; message: string }[];
  moreFindings: number;
  files: ReportFile[];
  history?: ReportHistory;
  signature?: { isValid: boolean; summary: string };
  embedded?: { name: string; digest?: string; note?: string };
  notEmbedded?: string;
}

/** The result of verify for a log. */
export interface ReportFile {
  source: string;
  file: string;
  rows: number;
  bytes: number;
  unparsedLines: number;
  sha256?: string;
  isVerified?: boolean;
}

/** The result of verify for a history. */
export interface ReportHistory {
  id: string | null;
  segments: number;
  treeHead?: string;
  isComplete: boolean;
  gaps: string[];
}

/** The verdicts in words, with their tones. */
export const VERDICTS: Record<string, [string, Tone]> = {
  intact: ["intact", "good"],
  intactRecompressed: ["intact, recompressed by another program", "good"],
  intactWithoutHashes: ["no hashes: content not verified", "warn"],
  damaged: ["damaged", "bad"],
  inconsistent: ["inconsistent", "bad"],
};

/** Returns the content of a data block of the page, or undefined if it is empty. */
export function dataBlock(id: string): string | undefined {
  const text = document.getElementById(id)?.textContent?.trim();
  return text === undefined || text === "" ? undefined : text;
}

/** The error of a report that can't be read. */
export class ReportError extends Error {}

/** Returns the report in the page, if there is one. */
export function readReport(): ReportData | undefined {
  const text = dataBlock("report-data");
  return text === undefined ? undefined : parseReport(text);
}

/** Parses a report, and checks the parts that the page relies on. */
export function parseReport(text: string): ReportData {
  let report: Partial<ReportData> | null;
  try {
    report = JSON.parse(text) as Partial<ReportData> | null;
  } catch {
    throw new ReportError("it is not JSON");
  }
  const isReport =
    typeof report?.verdict === "string" && typeof report.statement === "string" && typeof report.program === "string" && typeof report.madeAt === "string" &&
    typeof report.isGood === "boolean" && typeof report.rows === "number" && typeof report.moreFindings === "number" &&
    typeof report.input?.name === "string" && Array.isArray(report.findings) && Array.isArray(report.files);
  if (!isReport) throw new ReportError("it lacks what a report has");
  return report as ReportData;
}

/** Returns the digest of the bundle that a report is about. */
export function expectedDigest(report: ReportData): string | undefined {
  return report.embedded?.digest ?? report.digest;
}
