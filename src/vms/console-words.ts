/** What of a guest's console an error shows. */
import { lastLines } from "../lib/file-tail.ts";

const LINES = 12;
/** Linux' panic() begins with these words; a call trace of any length comes after them. */
const PANIC = "Kernel panic - not syncing";

/** The last dozen lines of `console`, and before them the line that says why the kernel panicked, if they leave it out. */
export function lastWords(console: string): readonly string[] {
  const all = lastLines(console, Number.POSITIVE_INFINITY);
  const shown = all.slice(-LINES);
  const panic = all.slice(0, -LINES).findLast((line) => line.includes(PANIC));
  return panic === undefined ? shown : [panic, ...shown];
}
