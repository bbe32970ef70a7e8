/** The header to audit by: what the bundle is, what verify said, and what the page checked itself. */

import { type Child, el, plainTable, stateMark } from "./dom.ts";
import { counted, minute, number, size, type Tone } from "./format.ts";
import type { Model } from "./model.ts";
import type { ReportData } from "./report-data.ts";
import type { LogCheck } from "./restore.ts";
import { visible } from "./visible.ts";

const VERDICTS: Record<string, [string, Tone]> = {
  intact: ["intact", "good"],
  intactRecompressed: ["intact, recompressed by another program", "good"],
  intactWithoutHashes: ["no hashes: content not verified", "warn"],
  damaged: ["damaged", "bad"],
  inconsistent: ["inconsistent", "bad"],
};

/** Returns true if the page shows other rows than the report is about. */
function isOther(report: ReportData | undefined, model: Model | undefined): boolean {
  if (report === undefined || model === undefined) return false;
  const expected = expectedDigest(report);
  // A manifest that is damaged may have no digest.
  return expected === undefined ? report.verdict !== "damaged" : expected !== model.bundle.digest;
}

/** Returns true if what the page shows contradicts what the report says. */
function contradicts(report: ReportData | undefined, model: Model | undefined, checks: ReadonlyMap<number, LogCheck> | undefined): boolean {
  if (isOther(report, model)) return true;
  // Damage that the report names is no surprise.
  return report?.verdict !== "damaged" && [...(checks?.values() ?? [])].some((check) => check === "differs" || check === "unreadable");
}

/** Returns a verdict in words, with its tone. */
export function verdictMark(report: ReportData | undefined, model: Model | undefined, checks?: ReadonlyMap<number, LogCheck>): HTMLElement {
  if (contradicts(report, model, checks)) return stateMark("does not match its hashes", "bad");
  if (report !== undefined) {
    const [text, tone] = Object.hasOwn(VERDICTS, report.verdict) ? VERDICTS[report.verdict] : [report.verdict, "warn" as Tone];
    return report.isGood || tone === "bad" ? stateMark(text, tone) : stateMark(text === "intact" ? "not as expected" : text, "warn");
  }
  if (model !== undefined && (model.bundle.problems.length > 0 || model.unreadable > 0)) return stateMark("damaged", "bad");
  return stateMark("not verified by the program", "warn");
}

/** Returns the digest that the report names for the bundle in the page. */
function expectedDigest(report: ReportData): string | undefined {
  return report.embedded?.digest ?? report.digest;
}

/** What the summary shows. */
export interface SummaryContent {
  report: ReportData | undefined;
  model: Model | undefined;
  checks: ReadonlyMap<number, LogCheck>;
  checkAll: (() => void) | undefined;
}

/** Returns the summary. */
export function summary(content: SummaryContent): HTMLElement {
  return el("div", { class: "summary" }, ...facts(content), ...logs(content), ...historyGaps(content), ...findings(content));
}

function facts({ report, model, checks, checkAll }: SummaryContent): Child[] {
  const manifest = model?.bundle.manifest;
  const digest = report === undefined ? model?.bundle.digest : expectedDigest(report);
  const code = (hash: string) => el("code", { class: "digest" }, hash);
  const entries: [string, Child][] = [["Verdict", verdictMark(report, model, checks)]];
  if (report !== undefined) entries.push(["Verified", `${utc(report.madeAt)} by ${report.program}`]);
  const subject = report?.history === undefined ? "Bundle digest" : "Digest of the merged bundle";
  if (model !== undefined && isOther(report, model)) {
    entries.push([`${subject} in the report`, digest === undefined ? "none" : code(digest)], ["Digest of the rows here", code(model.bundle.digest)]);
  } else if (digest !== undefined) entries.push([subject, code(digest)]);
  if (report?.history !== undefined) {
    const { id, segments, treeHead, isComplete } = report.history;
    entries.push(["History", `${id ?? "unreadable"}, ${counted(segments, "segment", "segments")}`]);
    if (treeHead !== undefined) entries.push(["Tree head", code(treeHead)]);
    entries.push(["Complete", isComplete ? "yes: no segment is missing, and none records a gap" : "NO: see below"]);
  }
  if (report?.signature !== undefined) entries.push(["Signature", stateMark(report.signature.summary, report.signature.isValid ? "good" : "bad")]);
  if (manifest?.label !== undefined) entries.push(["Label", visible(manifest.label)]);
  if (manifest !== undefined) {
    const made = `${utc(manifest.exportedAt)}${manifest.generator === "" ? "" : ` by ${visible(manifest.generator)}`}`;
    entries.push(["Bundle written", made]);
    if (manifest.derivedFrom !== undefined) entries.push(["Made from", `${counted(manifest.derivedFrom.bundles, "bundle", "bundles")} (${visible(manifest.derivedFrom.how)})`]);
  }
  if (model !== undefined) entries.push(["Checked here", pageChecks(model, checks, report)]);
  const statement = contradicts(report, model, checks)
    ? "What this page holds is not what the program verified, so nothing that the report says is shown as proven. Verify the bundle again."
    : report?.statement ?? "This page read the bundle itself. Run “patchwork-traces verify” for a full verdict.";
  return [
    el("p", { class: "statement" }, statement),
    el("dl", { class: "facts" }, ...entries.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])),
    checkAll === undefined ? undefined : action("Check the hashes of all logs", checkAll),
    ...notes(report, model),
  ];
}

function notes(report: ReportData | undefined, model: Model | undefined): Child[] {
  const texts = [report?.embedded?.note, model?.bundle.note, ...(model?.bundle.problems ?? []), report?.notEmbedded];
  if (model !== undefined && model.unreadable > 0) texts.push(`${number(model.unreadable)} rows can't be read: their chunks are damaged or too long for a page.`);
  return texts.filter((text) => text !== undefined).map((text) => el("p", { class: "note" }, visible(text)));
}

function pageChecks(model: Model, checks: ReadonlyMap<number, LogCheck>, report: ReportData | undefined): string {
  const found = [...checks.values()];
  const matching = found.filter((check) => check === "matches").length;
  const wrong = found.filter((check) => check === "differs" || check === "unreadable").length;
  const embedded = report && expectedDigest(report);
  const digest = embedded === undefined ? "" : embedded === model.bundle.digest ? "the digest matches; " : "the digest DIFFERS from the report; ";
  if (found.length === 0) return `${digest}the hashes of logs are not checked yet`;
  const logs = `${matching} of ${model.files.length} logs match their SHA-256`;
  return digest + (wrong === 0 ? logs : `${logs}, ${wrong} do NOT`);
}

function action(label: string, act: () => void): HTMLElement {
  const made = el("button", { type: "button" }, label);
  made.addEventListener("click", act);
  return made;
}

function logs({ report, model, checks }: SummaryContent): Child[] {
  const columns = [
    { title: "Log" }, { title: "Source" }, { title: "Rows", kind: "number" as const }, { title: "Unparsed lines", kind: "number" as const },
    { title: "Size", kind: "number" as const }, { title: "First row (UTC)" }, { title: "Last row (UTC)" },
    { title: "Hash" }, { title: "SHA-256", kind: "hash" as const },
  ];
  if (model === undefined && report === undefined) return [];
  const rows = model === undefined
    ? (report?.files ?? []).map((file): Child[] => [
        visible(file.file), visible(file.source), number(file.rows), number(file.unparsedLines), size(file.bytes), "", "",
        file.isVerified === undefined ? "none" : stateMark(file.isVerified ? "matches" : "differs", file.isVerified ? "good" : "bad"), file.sha256 ?? "",
      ])
    : model.files.map((file, i): Child[] => [
        visible(file.name), visible(file.source), number(file.rows), number(file.unparsedLines), size(file.bytes),
        minute(file.firstTime ?? NaN), minute(file.lastTime ?? NaN), checkMark(checks.get(i)), file.sha256 ?? "",
      ]);
  const most = 500;
  const more = rows.length > most ? el("p", { class: "muted" }, `${number(rows.length - most)} more logs aren't listed.`) : undefined;
  return [el("h2", {}, `Logs (${number(rows.length)})`), plainTable("Logs", columns, rows.slice(0, most)), more];
}

function checkMark(check: LogCheck | undefined): Child {
  if (check === undefined) return el("span", { class: "muted" }, "not checked");
  return stateMark(check, check === "matches" ? "good" : check === "differs" || check === "unreadable" ? "bad" : "warn");
}

function historyGaps({ report }: SummaryContent): Child[] {
  const gaps = report?.history?.gaps ?? [];
  if (gaps.length === 0) return [];
  return [el("h2", {}, `Gaps (${gaps.length})`), el("ul", {}, ...gaps.map((gap) => el("li", {}, visible(gap))))];
}

function findings({ report }: SummaryContent): Child[] {
  if (report === undefined || report.findings.length === 0) return [];
  const tones: Record<string, Tone> = { error: "bad", warning: "warn" };
  const items = report.findings.map(({ severity, message }) => el("li", {}, stateMark(severity, tones[severity] ?? "plain"), ` ${visible(message)}`));
  const more = report.moreFindings > 0 ? el("p", { class: "muted" }, `${number(report.moreFindings)} more: run “patchwork-traces verify --all”.`) : undefined;
  return [el("h2", {}, `Findings (${number(report.findings.length + report.moreFindings)})`), el("ul", { class: "plain" }, ...items), more];
}

function utc(text: string): string {
  const millis = Date.parse(text);
  return Number.isNaN(millis) ? visible(text) : `${new Date(millis).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
