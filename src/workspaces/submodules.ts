/** What is said of submodules: they travel once, as repositories of their own, and nothing of them comes back. */
import { shown } from "./names.ts";
import type { Survey } from "./survey.ts";

/** So many are named. */
const NAMED = 3;

/** A note for people when there are submodules that have been fetched; none without. */
export function submoduleNotes({ parts }: Pick<Survey, "parts">): string[] {
  const names = parts
    .filter(({ prefix }) => prefix.length > 0)
    .map(({ prefix }) => shown(prefix.subarray(0, -1)));
  if (names.length === 0) return [];
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return [
    `submodules (${names.slice(0, NAMED).join(", ")}${more}) travel once: changes in them are not exported, and new ones here not synced`,
  ];
}
