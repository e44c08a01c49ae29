/** Removing a directory with all that is in it, also while somebody else takes something out of it. */
import { lstatSync } from "node:fs";
import { rm } from "node:fs/promises";

/** Each goes on where the one before was disturbed. */
const MAX_TRIES = 32;

/**
 * Removes `path` and everything below it; one that is not there is well. When it resolves, nothing is at `path`. Bun's own recursive `rm`
 * with `force` takes an entry that goes away under it, as a socket whose listener closes, for the end of its work: it resolves and leaves
 * the rest. Errors: those of rm; `ENOTEMPTY` when somebody fills it as fast as it is emptied.
 */
export async function removeTree(path: string): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- one after the other is the point
    await rm(path, { recursive: true, force: true });
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  }
  throw Object.assign(new Error(`${path} cannot be removed: somebody writes into it`), { code: "ENOTEMPTY" });
}
