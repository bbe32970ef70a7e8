/** The tabs of the page. */

import { byId, el } from "./dom.ts";

const NAMES: Record<string, string> = { summary: "Summary", runs: "Runs", decisions: "Decisions", activity: "Activity", rows: "Rows" };

/** Tabs that follow the ARIA Authoring Practices: arrow keys move between them, and a tab's panel follows. */
export class Tabs {
  private readonly tabs = new Map<string, HTMLElement>();

  constructor(
    contents: Record<string, HTMLElement>,
    private readonly onShow: () => void,
  ) {
    for (const [id, name] of Object.entries(NAMES)) {
      const panel = byId(`panel-${id}`);
      if (Object.hasOwn(contents, id)) panel.replaceChildren(contents[id]);
      const tab = el("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}` }, name);
      tab.addEventListener("click", () => this.show(id));
      this.tabs.set(id, tab);
    }
    const list = byId("tabs");
    list.replaceChildren(...this.tabs.values());
    list.hidden = false;
    list.onkeydown = (event) => this.onKey(event);
    this.show("summary");
  }

  private show(shown: string) {
    for (const [id, tab] of this.tabs) {
      const isShown = id === shown;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      byId(`panel-${id}`).hidden = !isShown;
    }
    this.onShow();
  }

  private onKey(event: KeyboardEvent) {
    const ids = [...this.tabs.keys()];
    const at = ids.findIndex((id) => this.tabs.get(id) === document.activeElement);
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (at === -1 || move === undefined) return;
    const id = ids[(at + move + ids.length) % ids.length];
    this.show(id);
    this.tabs.get(id)?.focus();
    event.preventDefault();
  }
}
