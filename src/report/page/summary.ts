/** The header for audits: the bundle, the results of verify, and the checks by the page itself. */

import { button, type Child, el, link, plainTable, stateMark } from "./dom.ts";
import { counted, minute, number, size, type Tone } from "./format.ts";
import type { LogFile } from "./manifest.ts";
import type { Model } from "./model.ts";
import { expectedDigest, type ReportData, VERDICTS } from "./report-data.ts";
import type { LogCheck } from "./restore.ts";
import { visible } from "./visible.ts";

const NO_CHECKS: ReadonlyMap<number, LogCheck> = new Map();

/** Returns true if the page shows other rows than the report is about. */
function isOther(report: ReportData | undefined, model: Model | undefined): boolean {
  if (report === undefined || model === undefined) return false;
  const expected = expectedDigest(report);
  // A manifest that is damaged may have no digest.
  return expected === undefined ? report.verdict !== "damaged" : expected !== model.bundle.digest;
}

/** The relation between the content of the page and the report. */
type Standing = "agrees" | "contradicts" | "unread" | "unchecked" | "reading";

function standing({ report, model, checks, failure, isReading }: Shown): Standing {
  if (isReading === true) return "reading";
  if (isOther(report, model)) return "contradicts";
  // Damage that the report names is no surprise.
  if (report?.verdict === "damaged") return "agrees";
  if (failure !== undefined) return failure.isLimit ? "unread" : "contradicts";
  if (model === undefined) return "agrees";
  const isWrong = [...(checks?.values() ?? [])].some((check) => check === "differs" || check === "unreadable");
  if (isWrong || model.bundle.problems.length > 0 || model.unreadable > 0) return "contradicts";
  if (model.bundle.limit !== undefined || model.tooLong > 0) return "unread";
  return report !== undefined && hasUnchecked(model, checks) ? "unchecked" : "agrees";
}

/** Returns true if the page has not hashed every log that has a hash. The digest matches, but rows can still contradict the manifest. */
function hasUnchecked(model: Model, checks = NO_CHECKS): boolean {
  return model.bundle.manifest.minor > 0 && model.files.some(({ sha256 }, i) => sha256 !== undefined && checks.get(i) !== "matches");
}

/** Returns a verdict in words, with its tone. */
export function verdictMark(shown: Shown): HTMLElement {
  const { report, model, checks } = shown;
  const found = standing(shown);
  if (found === "reading") return stateMark("reading the rows…", "plain");
  if (found === "contradicts") {
    const isDamaged = report === undefined && ![...(checks?.values() ?? [])].includes("differs");
    return stateMark(isDamaged ? "damaged" : "does not match its hashes", "bad");
  }
  if (report === undefined) return stateMark("not verified by the program", "warn");
  const [text, tone] = Object.hasOwn(VERDICTS, report.verdict) ? VERDICTS[report.verdict] : [report.verdict, "warn" as Tone];
  if (found === "unread" && tone !== "bad") return stateMark(model === undefined ? "can't be read here" : "can't be read here in full", "warn");
  if (!report.isGood && tone !== "bad") return stateMark(text === "intact" ? "not as expected" : text, "warn");
  return found === "unchecked" && tone !== "bad" ? stateMark(`${text} when verified; ${uncheckedText(shown)}`, "plain") : stateMark(text, tone);
}

/** Returns the reason why the page knows no more than the report. */
function uncheckedText({ checks = NO_CHECKS }: Shown): string {
  return [...checks.values()].includes("too long") ? "not checked here in full" : "not checked here yet";
}

/** The content of the page, and the results of its checks. */
export interface Shown {
  report: ReportData | undefined;
  model?: Model;
  checks?: ReadonlyMap<number, LogCheck>;
  /** The reason why the bundle in the page can't be shown. `isLimit`: it may be intact, but a page can't read it. */
  failure?: { text: string; isLimit: boolean };
  /** The relation between the bundle and the report in the page. */
  remark?: string;
  /** True until the bundle in the page is open. */
  isReading?: boolean;
}

/** The content of the summary. */
export interface SummaryContent extends Shown {
  checkAll?: () => void;
  /** Shows the lines of a log that are not rows. */
  showUnparsed?: (file: LogFile) => void;
}

const UNTOLD = "The program can read them: run “patchwork-traces verify” on the bundle for its verdict.";

/** Returns a sentence that states what is proven. */
function statement(shown: Shown): string {
  switch (standing(shown)) {
    case "contradicts":
      if (shown.report === undefined) break;
      return "What this page holds is not what the program verified, so nothing that the report says is shown as proven. Verify the bundle again.";
    case "unread":
      if (shown.report === undefined) break;
      return `This page can't read all rows, so it can't tell whether they are those that the program verified. ${UNTOLD}`;
    case "unchecked":
      return `When the program made this report, it found: “${shown.report?.statement ?? ""}” Whether the rows in this page are the same ones is ${uncheckedText(shown)}.`;
    case "reading":
      return "This page is reading the rows.";
    default:
  }
  return shown.report?.statement ?? "This page read the bundle itself. Run “patchwork-traces verify” for a full verdict.";
}

/** Returns the summary. */
export function summary(content: SummaryContent): HTMLElement {
  return el("div", { class: "summary" }, ...facts(content), ...logs(content), ...historyGaps(content), ...findings(content));
}

function facts(shown: SummaryContent): Child[] {
  const { report, model, checks = NO_CHECKS, checkAll } = shown;
  const manifest = model?.bundle.manifest;
  const digest = report === undefined ? model?.bundle.digest : expectedDigest(report);
  const code = (hash: string) => el("code", { class: "digest" }, hash);
  const entries: [string, Child][] = [["Verdict", verdictMark(shown)]];
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
  return [
    el("p", { class: "statement" }, statement(shown)),
    el("dl", { class: "facts" }, ...entries.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])),
    checkAll === undefined ? undefined : button("Check the hashes of all logs", checkAll),
    ...notes(shown),
  ];
}

function notes({ report, model, failure, remark }: Shown): Child[] {
  const texts = [failure?.text, remark, report?.embedded?.note, model?.bundle.note, ...(model?.bundle.problems ?? []), model?.bundle.limit, model === undefined ? report?.notEmbedded : undefined];
  if (model !== undefined && model.unreadable > 0) texts.push(`${counted(model.unreadable, "row", "rows")} can't be read: what holds them is damaged.`);
  if (model !== undefined && model.tooLong > 0) texts.push(`${counted(model.tooLong, "row", "rows")} can't be read here: what holds them is too long for a page. ${UNTOLD}`);
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

function logs({ report, model, checks = NO_CHECKS, failure, showUnparsed }: SummaryContent): Child[] {
  const columns = [
    { title: "Log" }, { title: "Source" }, { title: "Rows", kind: "number" as const }, { title: "Unparsed lines", kind: "number" as const },
    { title: "Size", kind: "number" as const }, { title: "First row (UTC)" }, { title: "Last row (UTC)" },
    { title: "Hash" }, { title: "SHA-256", kind: "hash" as const },
  ];
  if (model === undefined && report === undefined) return [];
  const rows = model === undefined
    ? (report?.files ?? []).map((file): Child[] => [
        visible(file.file), visible(file.source), number(file.rows), number(file.unparsedLines), size(file.bytes), "", "",
        file.isVerified === undefined ? "none" : formerMark(file.isVerified, failure === undefined), file.sha256 ?? "",
      ])
    : model.files.map((file, i): Child[] => [
        visible(file.name), visible(file.source), number(file.rows), unparsed(file, i, showUnparsed), size(file.bytes),
        minute(file.firstTime ?? NaN), minute(file.lastTime ?? NaN), checkMark(checks.get(i)), file.sha256 ?? "",
      ]);
  const most = 500;
  const more = rows.length > most ? el("p", { class: "muted" }, `${number(rows.length - most)} more logs aren't listed.`) : undefined;
  return [el("h2", {}, `Logs (${number(rows.length)})`), plainTable("Logs", columns, rows.slice(0, most)), more];
}

/** Returns a link that shows the number of unparsed lines of a log, and opens them. */
function unparsed(file: LogFile, index: number, show: SummaryContent["showUnparsed"]): Child {
  const count = number(file.unparsedLines);
  if (file.unparsedLines === 0 || show === undefined) return count;
  return link(count, () => show(file), { id: `unparsed-${index}`, "aria-label": `Show ${count} unparsed lines of ${visible(file.name)}` });
}

/** Returns the program's result for a log that the page doesn't have. */
function formerMark(isVerified: boolean, isPlausible: boolean): Child {
  if (!isVerified) return stateMark("differed when verified", "bad");
  return stateMark("matched when verified", isPlausible ? "good" : "plain");
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
