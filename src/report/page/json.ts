/** Reads JSON without parsing numbers: finds members in bytes, decodes strings, and cuts text into tokens. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Returns the index of the first byte at or after `at` that is not white space. */
export function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && (bytes[at] === 0x20 || (bytes[at] >= 0x09 && bytes[at] <= 0x0d))) at++;
  return at;
}

/** Returns the index after the string whose opening quote is at `at`, or `end` if the string isn't closed. */
export function skipString(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at + 1; i < end; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) return i + 1;
    if (byte === BACKSLASH) i++;
  }
  return end;
}

/** Returns the index after the value that begins at `at`. Counts brackets, so depth costs no stack. */
export function skipValue(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at];
  if (first === QUOTE) return skipString(bytes, at, end);
  if (first !== 0x7b && first !== 0x5b) {
    while (at < end && !isDelimiter(bytes[at])) at++;
    return at;
  }
  let depth = 0;
  while (at < end) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = skipString(bytes, at, end);
      continue;
    }
    at++;
    if (byte === 0x7b || byte === 0x5b) depth++;
    else if ((byte === 0x7d || byte === 0x5d) && --depth === 0) return at;
  }
  return end;
}

function isDelimiter(byte: number): boolean {
  return byte === 0x2c || byte === 0x7d || byte === 0x5d || byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** Receives a member of an object: the positions of its key (with quotes) and its value. Returns the end of the value. */
export type MemberVisitor = (keyAt: number, keyEnd: number, valueAt: number) => number;

/** Calls `visit` for each member of the object at `at`. Returns the end of the object, or -1 if it is malformed. */
export function visitMembers(bytes: Uint8Array, at: number, end: number, visit: MemberVisitor): number {
  if (bytes[at] !== 0x7b) return -1;
  at = skipSpace(bytes, at + 1, end);
  while (at < end && bytes[at] === QUOTE) {
    const keyAt = at;
    const keyEnd = skipString(bytes, at, end);
    at = skipSpace(bytes, keyEnd, end);
    if (bytes[at] !== 0x3a) return -1;
    const valueAt = skipSpace(bytes, at + 1, end);
    const valueEnd = visit(keyAt, keyEnd, valueAt);
    if (valueEnd <= valueAt) return -1;
    at = skipSpace(bytes, valueEnd, end);
    if (bytes[at] !== 0x2c) break;
    at = skipSpace(bytes, at + 1, end);
  }
  return at < end && bytes[at] === 0x7d ? at + 1 : -1;
}

/** Finds keys by their bytes, without creating strings. */
export class KeySet<Key extends string> {
  private readonly bySignature = new Map<number, number[]>();
  private readonly indexes: Map<string, number>;

  constructor(private readonly names: readonly Key[]) {
    this.indexes = new Map(names.map((name, index) => [name, index]));
    for (const [index, name] of names.entries()) {
      const signature = sign(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1));
      this.bySignature.set(signature, [...(this.bySignature.get(signature) ?? []), index]);
    }
  }

  /** Returns the number of keys. */
  get size(): number {
    return this.names.length;
  }

  /** Returns the number of a key of the set. */
  indexOf(key: Key): number {
    return this.indexes.get(key) ?? -1;
  }

  /** Returns the number of the key whose quotes begin and end the range, or -1 if it is not one of the set. */
  index(bytes: Uint8Array, at: number, end: number): number {
    const length = end - at - 2;
    if (length < 1) return -1;
    const candidates = this.bySignature.get(sign(length, bytes[at + 1], bytes[end - 2]));
    if (candidates !== undefined) for (const index of candidates) if (isText(bytes, at + 1, this.names[index])) return index;
    if (length > 200) return -1;
    for (let i = at; i < end; i++) if (bytes[i] === BACKSLASH) return this.indexes.get(stringAt(bytes, at, end) ?? "") ?? -1;
    return -1;
  }

  /** Returns the key in the range, or undefined if it is not one of the set. */
  find(bytes: Uint8Array, at: number, end: number): Key | undefined {
    const index = this.index(bytes, at, end);
    return index === -1 ? undefined : this.names[index];
  }
}

function sign(length: number, first: number, last: number): number {
  return (length << 16) | (first << 8) | last;
}

function isText(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name.charCodeAt(i)) return false;
  return true;
}

/** Calls `visit` with the position of each element of the array at `at`, until it returns false. */
export function visitElements(bytes: Uint8Array, at: number, end: number, visit: (at: number, end: number) => boolean) {
  if (bytes[at] !== 0x5b) return;
  at = skipSpace(bytes, at + 1, end);
  while (at < end && bytes[at] !== 0x5d) {
    const valueEnd = skipValue(bytes, at, end);
    if (valueEnd === at || !visit(at, valueEnd)) return;
    at = skipSpace(bytes, valueEnd, end);
    if (bytes[at] !== 0x2c) return;
    at = skipSpace(bytes, at + 1, end);
  }
}

/** Returns the text of bytes, with U+FFFD for invalid UTF-8. */
export function decode(bytes: Uint8Array, at: number, end: number): string {
  return decoder.decode(bytes.subarray(at, end));
}

/** Returns the value of the string at `at`, quotes included in the range, or undefined if it is not a string. */
export function stringAt(bytes: Uint8Array, at: number, end: number): string | undefined {
  if (bytes[at] !== QUOTE || end - at < 2) return undefined;
  const text = decode(bytes, at + 1, end - 1);
  return text.includes("\\") ? unescape(text) : text;
}

const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Decodes the escapes of a JSON string. */
export function unescape(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, hex: string | undefined, other: string) =>
    hex === undefined ? (ESCAPES[other] ?? other) : String.fromCharCode(parseInt(hex, 16)),
  );
}

/** The kinds of tokens of JSON text. A key is a string before a colon. */
export type TokenKind = "key" | "string" | "number" | "word" | "mark" | "space";

/** A part of formatted JSON. Everything except white space is exactly the original text. */
export interface Token {
  kind: TokenKind;
  text: string;
}

/** Formats JSON text with one member or element per line. Yields tokens one by one, so that a reader can stop early. */
export function* layOut(text: string): Generator<Token> {
  let depth = 0;
  let isEmpty = false;
  let at = 0;
  while (at < text.length) {
    const first = text[at];
    if (isSpace(first)) {
      at++;
      continue;
    }
    if (first === "}" || first === "]") {
      depth = Math.max(0, depth - 1);
      if (!isEmpty) yield newLine(depth);
      isEmpty = false;
      yield { kind: "mark", text: first };
      at++;
      continue;
    }
    if (isEmpty) yield newLine(depth);
    isEmpty = first === "{" || first === "[";
    if (isEmpty) depth++;
    const end = tokenEnd(text, at);
    yield { kind: tokenKind(text, at, end), text: first === ":" ? ": " : text.slice(at, end) };
    if (first === ",") yield newLine(depth);
    at = end;
  }
}

function tokenEnd(text: string, at: number): number {
  if ("{[,:".includes(text[at])) return at + 1;
  let end = at + 1;
  if (text[at] !== '"') {
    while (end < text.length && !isSpace(text[end]) && !'{}[],:"'.includes(text[end])) end++;
    return end;
  }
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return Math.min(end + 1, text.length);
}

function tokenKind(text: string, at: number, end: number): TokenKind {
  const first = text[at];
  if (first === '"') return isBeforeColon(text, end) ? "key" : "string";
  if ("{[,:".includes(first)) return "mark";
  return "-0123456789".includes(first) ? "number" : "word";
}

function isSpace(character: string): boolean {
  return character === " " || character === "\n" || character === "\r" || character === "\t";
}

function newLine(depth: number): Token {
  return { kind: "space", text: "\n" + "  ".repeat(Math.min(depth, 40)) };
}

function isBeforeColon(text: string, at: number): boolean {
  while (at < text.length && isSpace(text[at])) at++;
  return text[at] === ":";
}
