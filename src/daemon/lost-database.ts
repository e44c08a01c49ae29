/** A state directory whose database is gone: a new one knows nothing of what lies there, and its daemon would sweep that away. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { Layout } from "../host/layout.ts";
import { BangerError } from "../model/errors.ts";

/**
 * To be asked before a database is begun. Errors: `failed_precondition` when there is none, or an empty file in its place, and what only
 * a database knows (disks of VMs, volumes, snapshots, images) lies beside it. Touches nothing.
 */
export function demandDatabase(layout: Layout): void {
  const { database, stateDir } = layout;
  // A database that was begun has its header in the file, whatever is still in the log beside it.
  if ((statSync(database, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  const found = [
    find(layout.vmsDir, (name) => existsSync(layout.disk(name)), "disks of VMs"),
    find(layout.volumesDir, (name) => /^[0-9a-f]{12}\.ext4$/.test(name), "volumes"),
    find(layout.snapshotsDir, (name) => /^[0-9a-f]{12}$/.test(name), "snapshots"),
    find(layout.imagesDir, (name) => /^[0-9a-f]{64}$/.test(name), "images"),
  ].filter(({ count }) => count > 0);
  if (found.length === 0) return;
  const what = found.map(({ count, words }) => `${words}: ${count}`).join(", ");
  const rooms = found.map(({ dir }) => basename(dir)).join(" ");
  const state = existsSync(database) ? "is empty" : "is gone";
  throw new BangerError(
    "failed_precondition",
    `the database ${database} ${state}, and what it knew is there (${what}); nothing was touched`,
    {
      cure: `restore a backup of it, or begin anew and keep the rest: cd ${stateDir} && mkdir aside && mv ${rooms} aside`,
    },
  );
}

function find(
  dir: string,
  isOurs: (name: string) => boolean,
  words: string,
): { readonly dir: string; readonly words: string; readonly count: number } {
  const names = existsSync(dir) ? readdirSync(dir) : [];
  return { dir, words, count: names.filter((name) => isOurs(name)).length };
}
