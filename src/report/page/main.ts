/** Starts the page: shows the embedded bundle and report, and opens bundles that are dropped on it. */

import { fromBase64 } from "./bytes.ts";
import { type Bundle, BundleError, LimitError, openBundle, reopenFromStart } from "./bundle.ts";
import { ChunkError } from "./chunks.ts";
import { closeDetail } from "./detail.ts";
import { announce, byId, el } from "./dom.ts";
import { size } from "./format.ts";
import { UnreadableError } from "./inflate.ts";
import { ManifestError } from "./manifest.ts";
import { Model } from "./model.ts";
import { Cancelled } from "./pace.ts";
import { dataBlock, expectedDigest, readReport, type ReportData, ReportError } from "./report-data.ts";
import { Session } from "./session.ts";
import { type Shown, summary, verdictMark } from "./summary.ts";
import { visible } from "./visible.ts";
import { isWorker, serveSearches } from "./workers.ts";

let session: Session | undefined;
let report: ReportData | undefined;
let opening = 0;

/** Opens a file and shows it instead of the current bundle. The report only applies to the bundle of the page. */
async function openFile(blob: Blob, name: string, isOfPage: boolean): Promise<void> {
  const number = ++opening;
  const note = byId("opening");
  const progress = (part: number) => (note.textContent = `Reading ${visible(name)} (${size(blob.size)}): ${Math.floor(part * 100)} %`);
  progress(0);
  note.hidden = false;
  byId("problem").hidden = true;
  try {
    const bundle = await openBundle(blob, name, progress);
    if (number !== opening) return;
    const isSame = isOfPage || (report !== undefined && expectedDigest(report) === bundle.digest);
    show(bundle, isSame ? report : undefined, isSame || report === undefined ? undefined : otherBundle(report));
    announce(`Opened ${name}`);
  } catch (error) {
    if (number !== opening) return;
    showProblem(name, error);
    if (isOfPage) showReport({ report, failure: { text: problemText(error), isLimit: error instanceof LimitError } });
  } finally {
    if (number === opening) note.hidden = true;
  }
}

/** Shows a bundle. If chunks aren't at their recorded offsets, reads it from the start, and shows the result if it is complete. */
function show(bundle: Bundle, shown: ReportData | undefined, remark: string | undefined) {
  const number = opening;
  session?.close();
  session = new Session(new Model(bundle), shown, remark, async () => {
    const again = await reopenFromStart(bundle, () => undefined).catch(() => undefined);
    if (again !== undefined && number === opening) show(again, shown, remark);
  });
}

function otherBundle(report: ReportData): string {
  const { name } = report.input;
  const isKnown = expectedDigest(report) !== undefined;
  return isKnown
    ? `This is another bundle than the one that the report is about (${name}), so what the report says isn't shown.`
    : `The report on ${name} names no digest to tell whether it is about this bundle, so what it says isn't shown.`;
}

/** Shows the report while no bundle is open. */
function showReport(shown: Shown) {
  const { report } = shown;
  if (report === undefined) return;
  byId("name").textContent = visible(report.input.name);
  document.title = `${visible(report.input.name)} – patchwork-traces report`;
  byId("verdict").replaceChildren(verdictMark(shown));
  byId("panel-summary").replaceChildren(summary(shown));
  document.body.classList.remove("is-empty");
}

function problemText(error: unknown): string {
  const isExpected = [BundleError, ManifestError, ChunkError, UnreadableError].some((kind) => error instanceof kind);
  const detail = error instanceof Error ? error.message : String(error);
  return error instanceof ManifestError ? `This file can't be shown: ${detail}.` : isExpected ? detail : `This file can't be read: ${detail}`;
}

function showProblem(name: string, error: unknown) {
  byId("problem-text").textContent = `${visible(name)}: ${visible(problemText(error))}`;
  byId("problem").hidden = false;
}

function chooseFile() {
  const input = el("input", { type: "file" });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file !== undefined) void openFile(file, file.name, false);
  });
  input.click();
}

function listen() {
  for (const button of document.querySelectorAll(".open-button")) button.addEventListener("click", chooseFile);
  byId("problem-close").addEventListener("click", () => (byId("problem").hidden = true));
  byId("detail-close").addEventListener("click", closeDetail);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("detail").hidden && !event.defaultPrevented) closeDetail();
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) void openFile(file, file.name, false);
  });
  // Shows unexpected errors, too: a page that stops silently looks as if it had no rows.
  window.addEventListener("unhandledrejection", (event) => {
    const isExpected = event.reason instanceof Cancelled || event.reason instanceof UnreadableError;
    if (isExpected) event.preventDefault();
    if (!(event.reason instanceof Cancelled)) showProblem("This page", event.reason);
  });
}

function start() {
  listen();
  let broken: unknown;
  try {
    report = readReport();
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    broken = new BundleError(`What the program wrote of the bundle can't be read: ${error.message}. Its verdict isn't shown.`);
  }
  const base64 = dataBlock("bundle-data");
  const embedded = base64 === undefined ? undefined : fromBase64(base64);
  document.getElementById("bundle-data")?.remove();
  if (embedded !== undefined) {
    showReport({ report, isReading: true });
    void openFile(new Blob([embedded]), report?.embedded?.name ?? "bundle", true);
    if (broken !== undefined) showProblem("The report in this page", broken);
    return;
  }
  if (broken !== undefined) showProblem("The report in this page", broken);
  const isMalformed = base64 !== undefined;
  const isMissing = report?.embedded !== undefined && !isMalformed;
  if (!isMalformed && !isMissing) return showReport({ report });
  const text = isMissing ? "The bundle that the report is about is missing from this page." : "The bundle in this page can't be read: it is not base64.";
  showProblem("This page", new BundleError(text));
  showReport({ report, failure: { text, isLimit: false } });
}

if (isWorker()) serveSearches();
else start();
