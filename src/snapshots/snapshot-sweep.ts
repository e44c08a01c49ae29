/** Snapshots after a start of the daemon: directories and records are brought into agreement, and nothing that was acknowledged is removed. */
import { existsSync, readdirSync } from "node:fs";
import type { Logger } from "pino";
import { removeLeftovers } from "../lib/publish.ts";
import { isUnrecorded, unmarkUnrecorded } from "../lib/unrecorded.ts";
import type { Store } from "../store/store.ts";
import type { SavedFiles } from "./saved-files.ts";
import { readRecord } from "./saved-record.ts";
import type { Uses } from "./uses.ts";

export interface SnapshotSweep {
  readonly dir: string;
  readonly store: Pick<Store, "snapshots">;
  readonly files: SavedFiles;
  readonly uses: Uses;
  readonly log: Logger;
}

/**
 * Removes what crashes left: half-made ones, and those that say of themselves that they have no record. One that has lost its record gets it
 * back from its own files. Never throws; one that cannot be settled is the log's.
 */
export async function sweepSnapshots(sweep: SnapshotSweep): Promise<void> {
  const { dir, log } = sweep;
  try {
    await removeLeftovers(dir);
    for (const id of idsIn(dir)) await settle(sweep, id);
  } catch (error) {
    log.warn({ err: error }, "sweeping snapshots failed");
  }
}

/** Ids of those that are whole and that no record knows. */
export function unrecordedSnapshots({ dir, store, uses }: Omit<SnapshotSweep, "log" | "files">): string[] {
  return idsIn(dir).filter((id) => store.snapshots.byId(id) === undefined && !uses.has(id));
}

function idsIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir).filter((name) => /^[0-9a-f]{12}$/.test(name)) : [];
}

async function settle({ store, files, uses, log }: SnapshotSweep, id: string): Promise<void> {
  // One that is being made marks and unmarks itself.
  if (uses.has(id)) return;
  const path = files.path(id);
  try {
    // Whoever removes one marks it and forgets it in one go: nothing comes between these two lines either.
    if (store.snapshots.byId(id) !== undefined) unmarkUnrecorded(path);
    else if (isUnrecorded(path)) await files.remove(id);
    else takeBack({ store, files, log }, id);
  } catch (error) {
    log.error({ directory: path, err: error }, "a snapshot could not be settled; it stays as it is");
  }
}

/** Errors: `failed_precondition` (its files are not whole), those of the database. */
function takeBack({ store, files, log }: Pick<SnapshotSweep, "store" | "files" | "log">, id: string): void {
  const directory = files.path(id);
  const kept = readRecord(directory);
  // Removed meanwhile.
  if (!existsSync(directory)) return;
  if (kept?.id !== id) {
    log.warn({ directory }, "a snapshot's directory has no record; it was left as it is");
    return;
  }
  const { sizeBytes } = files.read(id);
  const name = store.snapshots.byName(kept.name) === undefined ? kept.name : `recovered-${id}`;
  store.snapshots.insert({ ...kept, name, sizeBytes });
  log.warn({ directory, snapshot: name }, "a snapshot had no record; it was taken back");
}
