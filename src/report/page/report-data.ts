/** What the program wrote into the page about the bundle. The schema of `report` in src/report/ has the same keys. */

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

/** A log, as verify found it. */
export interface ReportFile {
  source: string;
  file: string;
  rows: number;
  bytes: number;
  unparsedLines: number;
  sha256?: string;
  isVerified?: boolean;
}

/** A history, as verify found it. */
export interface ReportHistory {
  id: string | null;
  segments: number;
  treeHead?: string;
  isComplete: boolean;
  gaps: string[];
}

/** Returns the content of a data block of the page, or undefined if it is empty. */
export function dataBlock(id: string): string | undefined {
  const text = document.getElementById(id)?.textContent?.trim();
  return text === undefined || text === "" ? undefined : text;
}

/** Returns the report in the page, if there is one. */
export function readReport(): ReportData | undefined {
  const text = dataBlock("report-data");
  return text === undefined ? undefined : (JSON.parse(text) as ReportData);
}

/** Returns the digest that a report names for the bundle that its page holds, or would. */
export function expectedDigest(report: ReportData): string | undefined {
  return report.embedded?.digest ?? report.digest;
}
