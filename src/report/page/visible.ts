/** Makes characters visible that are invisible or change how others are shown. */

/** Controls, format characters such as bidirectional overrides, line separators, lone surrogates, tags and non-characters. */
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]|[\u{d800}-\u{dfff}]/gu;
const HIDDEN_IN_LINE = new RegExp(`[\\t\\n\\r]|${HIDDEN.source}`, "gu");

/** Returns the code point of a character, such as `U+202E`. */
export function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Returns text for one line, with hidden characters as `⟨U+202E⟩`. */
export function visible(text: string): string {
  return text.replace(HIDDEN_IN_LINE, (character) => `⟨${codePoint(character)}⟩`);
}

/** Cuts text into visible parts and hidden characters. Line feeds and tabs are kept. */
export function* parts(text: string): Generator<{ text: string; isHidden: boolean }> {
  let at = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > at) yield { text: text.slice(at, match.index), isHidden: false };
    yield { text: codePoint(match[0]), isHidden: true };
    at = match.index + match[0].length;
  }
  if (at < text.length) yield { text: text.slice(at), isHidden: false };
}

/** Returns the first `length` characters of a text, or one less where a pair of surrogates would be cut. */
export function head(text: string, length: number): string {
  const isCut = length < text.length && /[\ud800-\udbff]/.test(text[length - 1]) && /[\udc00-\udfff]/.test(text[length]);
  return text.slice(0, isCut ? length - 1 : length);
}
