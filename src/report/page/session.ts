/** The view of one bundle: the tabs, the timeline, and their shared state. */

import { closeDetail, type DetailContext, showRow, showRun, showUnparsed } from "./detail.ts";
import { byId, type Child } from "./dom.ts";
import { number } from "./format.ts";
import type { Model } from "./model.ts";
import { Cancelled, Pace } from "./pace.ts";
import { printed, readDecisions } from "./printed.ts";
import { ALL_TIME, type Range } from "./range.ts";
import type { ReportData } from "./report-data.ts";
import { checkLog, type LogCheck, MAX_CHECKED_BYTES } from "./restore.ts";
import { summary, verdictMark } from "./summary.ts";
import { Tabs } from "./tabs.ts";
import { Timeline } from "./timeline.ts";
import { ActivityView, DecisionsView, RowsView, RunsView, type View } from "./views.ts";
import { visible } from "./visible.ts";

/** Bundles with more than this are hashed only when asked. */
const MAX_CHECKED_AT_ONCE = 2 * MAX_CHECKED_BYTES;
const UPDATE_MS = 250;
/** Updates take at most a tenth of the time. */
const UPDATE_SHARE = 10;

/** An open bundle on the page. */
export class Session {
  private readonly checks = new Map<number, LogCheck>();
  private readonly pace = new Pace();
  private readonly views: View[];
  private readonly print = () => {
    byId("printed").replaceChildren(...printed(this.model, this.decisionCells));
    this.timeline.setPrinting(true);
  };
  private readonly endPrint = () => this.timeline.setPrinting(false);
  private timeline: Timeline;
  private updated = 0;
  private updateAfter = UPDATE_MS;
  private isChecking = false;
  private decisionCells: Child[][] = [];

  constructor(
    private readonly model: Model,
    private readonly report: ReportData | undefined,
    private readonly remark: string | undefined,
    private readonly reopen: () => Promise<void>,
  ) {
    closeDetail();
    const open: DetailContext = {
      model,
      checkOf: (file) => this.checks.get(file),
      showRow: (row) => void showRow(open, row),
      showRun: (run) => void showRun(open, run),
    };
    const runs = new RunsView(model, open.showRun);
    const decisions = new DecisionsView(model, open.showRow);
    const activity = new ActivityView(model);
    const rows = new RowsView(model, open.showRow, () => this.select(ALL_TIME));
    this.views = [runs, decisions, activity, rows];
    new Tabs({ runs: runs.element, decisions: decisions.element, activity: activity.element, rows: rows.element }, () => this.updateViews());
    const name = report?.input.name ?? model.bundle.name;
    byId("name").textContent = visible(name);
    document.title = `${visible(name)} – patchwork-traces report`;
    document.body.classList.remove("is-empty");
    this.timeline = this.makeTimeline();
    addEventListener("beforeprint", this.print);
    addEventListener("afterprint", this.endPrint);
    this.update();
    void this.run();
  }

  /** Stops the background work. */
  close() {
    this.pace.cancel();
    this.model.close();
    removeEventListener("beforeprint", this.print);
    removeEventListener("afterprint", this.endPrint);
  }

  private makeTimeline(): Timeline {
    const timeline = new Timeline(this.model, (range) => this.select(range));
    byId("timeline").replaceChildren(timeline.element);
    return timeline;
  }

  private select(range: Range) {
    this.timeline.select(range);
    for (const view of this.views) view.setRange(range);
  }

  private async run() {
    try {
      await this.model.index(() => {
        if (performance.now() - this.updated > this.updateAfter) this.update();
      });
      if (this.model.isMisplaced) void this.reopen();
      if (this.timeline.isTooShort) {
        const { selection } = this.timeline;
        this.timeline = this.makeTimeline();
        this.timeline.select(selection);
      }
      this.update();
      this.decisionCells = await readDecisions(this.model);
      const bytes = this.model.files.reduce((sum, file) => sum + file.bytes, 0);
      if (bytes <= MAX_CHECKED_AT_ONCE) await this.checkAll();
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
    }
  }

  private async checkAll() {
    this.isChecking = true;
    for (const file of this.model.files.keys()) {
      this.checks.set(file, await checkLog(this.model, file, this.pace));
      if (performance.now() - this.updated > UPDATE_MS) this.updateSummary();
    }
    this.updateSummary();
  }

  private update() {
    const start = performance.now();
    this.updateViews();
    this.timeline.draw();
    this.updateSummary();
    const { indexed, rows } = this.model;
    this.updateAfter = Math.max(UPDATE_MS, UPDATE_SHARE * (performance.now() - start));
    byId("progress").textContent = this.model.isIndexed ? "" : `reading rows: ${number(Math.floor((indexed / Math.max(1, rows)) * 100))} %`;
  }

  /** Updates the view that is shown. The others are updated when they are. */
  private updateViews() {
    for (const view of this.views) if (view.element.closest("[hidden]") === null) view.update();
  }

  private updateSummary() {
    this.updated = performance.now();
    const { model, report, checks } = this;
    const isOffered = model.isIndexed && checks.size === 0 && model.files.length > 0 && !this.isChecking;
    const checkAll = isOffered ? () => void this.checkAll() : undefined;
    byId("panel-summary").replaceChildren(summary({ report, model, checks, checkAll, showUnparsed, remark: this.remark }));
    byId("verdict").replaceChildren(verdictMark({ report, model, checks }));
  }
}
