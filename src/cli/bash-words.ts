/**
 * Words as bash's completion has them: taken apart also at each `:` and `=` (COMP_WORDBREAKS), which become words of their own; what is
 * completed is only what stands behind the last of them.
 */

const SEPARATOR = /^[:=]+$/;

/** The words as they were typed, and how much of each candidate for the last one bash does not want to hear again. */
export function joinBashWords(pieces: readonly string[]): {
  readonly words: readonly string[];
  readonly cut: number;
} {
  const words: string[] = [];
  let isOpen = false;
  for (const piece of pieces) {
    const isSeparator = SEPARATOR.test(piece);
    // An empty one begins a word: who has typed no more than a separator is at that separator.
    if (words.length > 0 && piece !== "" && (isOpen || isSeparator)) words.push(`${words.pop()}${piece}`);
    else words.push(piece);
    isOpen = isSeparator;
  }
  const [typed = "", last = ""] = [words.at(-1), pieces.at(-1)];
  if (typed === last && !SEPARATOR.test(last)) return { words, cut: 0 };
  return { words, cut: SEPARATOR.test(last) ? typed.length : typed.length - last.length };
}
