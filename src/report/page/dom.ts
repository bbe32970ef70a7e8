/** Creates elements. Text is only set as text: nothing from a bundle is ever parsed as markup. */

import { number, type Tone } from "./format.ts";
import { head, visible } from "./visible.ts";

/** The possible content of an element. */
export type Child = Node | string | undefined;

/** Creates an element with attributes and children. Makes hidden characters in strings visible. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) if (child !== undefined) element.append(typeof child === "string" ? visible(child) : child);
  return element;
}

/** Returns the element of the page with an id. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

/** Returns a word with a dot in the colour of its tone. */
export function stateMark(state: string, tone: Tone): HTMLElement {
  return el("span", { class: `state ${tone}` }, visible(state));
}

/** A column of a plain table. */
export interface PlainColumn {
  title: string;
  kind?: "number" | "prose" | "hash";
}

/** Returns a hash, which is truncated if space is short. A click selects all of it; printing shows all of it. */
function hashCode(hash: string): HTMLElement {
  return el("code", { title: hash }, hash);
}

/** Returns a table with a caption for screen readers. */
export function plainTable(caption: string, columns: PlainColumn[], rows: Child[][]): HTMLElement {
  const head = columns.map(({ title, kind }) => el("th", { scope: "col", class: kind ?? "" }, title));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell, i) => el("td", { class: columns[i].kind ?? "" }, columns[i].kind === "hash" && typeof cell === "string" ? hashCode(cell) : cell))));
  const caption_ = el("caption", { class: "hidden" }, caption);
  const table = el("table", {}, caption_, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
  return el("div", { class: `table-box ${caption.toLowerCase().replaceAll(" ", "-")}`, tabindex: "0", role: "region", "aria-label": caption }, table);
}

/** Returns a button. */
export function button(label: string, act: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = el("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

/** Returns a button that looks like a link. */
export function link(label: string, act: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  return button(label, act, { class: "link", ...attributes });
}

/** Returns a labelled select. */
export function select(label: string, options: [string, string][], onChange: (value: string) => void) {
  const input = el("select", { "aria-label": label }, ...options.map(([value, text]) => el("option", { value }, text)));
  input.addEventListener("change", () => onChange(input.value));
  return { input, field: el("label", { class: "field" }, el("span", {}, label), input) };
}

/** Replaces the options of a select after the first, and keeps what is selected. */
export function setOptions(input: HTMLSelectElement, values: string[]) {
  const kept = input.value;
  const [first] = input.options;
  const options = values.map((value) => el("option", { value }, visible(value.length > 60 ? `${head(value, 60)}…` : value)));
  input.replaceChildren(first, ...options);
  input.value = values.includes(kept) ? kept : "";
}

let statusTimer: ReturnType<typeof setTimeout> | undefined;

/** Announces a text to screen readers once no newer text has come for a moment. */
export function announce(text: string) {
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => (byId("status").textContent = text), 300);
}

/** Returns `12 of 305 rows`. */
export function ofTotal(shown: number, total: number, many: string): string {
  return shown === total ? `${number(total)} ${many}` : `${number(shown)} of ${number(total)} ${many}`;
}
