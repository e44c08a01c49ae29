/**
 * Words of strangers (guests, images, registries, work trees) as they may go to a terminal: nothing in them moves the cursor, changes
 * its colours or turns the direction of what stands beside it. Text that is safe stays as it is.
 */

/** Control characters, those that only format (bidirectional overrides, joiners), and the separators of lines and paragraphs. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, (char) => (char === "\n" || char === "\t" ? char : escaped(char)));
}

/** One line, whatever it holds. */
export function printableLine(text: string): string {
  return text.replaceAll(UNSAFE, escaped);
}

/** As in JSON, which itself leaves most of these characters alone. */
function escaped(char: string): string {
  const short = JSON.stringify(char).slice(1, -1);
  if (short !== char) return short;
  const code = (char.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}
