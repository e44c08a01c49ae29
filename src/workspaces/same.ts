/** Files that were changed on both sides may have become the same: then there is nothing to send, and nothing to lose. */
import { lstatSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { WorkspaceView } from "./guest-state.ts";
import { pathOf } from "./names.ts";
import type { PlannedFile } from "./plan.ts";
import type { StagedPart } from "./stage.ts";
import { MAX_BYTES, unpackFiles } from "./unpack.ts";

export interface SameOptions {
  readonly names: readonly Buffer[];
  readonly part: StagedPart;
  /** Those of them that the host has. */
  readonly fresh: readonly PlannedFile[];
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** Files larger than this are not compared. */
const MAX_COMPARED = 256 * 2 ** 20;

/** Names (latin1). */
export async function findSame(
  { guest, record }: WorkspaceView,
  options: SameOptions,
): Promise<ReadonlySet<string>> {
  const same = new Set<string>();
  if (options.names.length === 0) return same;
  const { part, fresh, directory } = options;
  const workTree = join(directory, "guest");
  mkdirSync(workTree, { mode: 0o700 });
  const wanted = new Set(options.names.map((name) => name.toString("latin1")));
  const came = new Set<string>();
  const budget = { left: MAX_BYTES };
  for await (const archive of guest.pick(record.guestPath, options.names)) {
    for (const key of await unpackFiles(archive, workTree, { wanted, budget })) came.add(key);
  }
  const here = new Map(fresh.map((file) => [file.name.toString("latin1"), file]));
  for (const key of wanted) {
    const file = here.get(key);
    // Gone on both sides.
    if (file === undefined && !came.has(key)) same.add(key);
    if (file?.disk === undefined || part.stored.has(key) || !came.has(key)) continue;
    if (isSame(file, pathOf(part.repository.top, file.name), pathOf(workTree, file.name))) same.add(key);
  }
  return same;
}

function isSame({ kind, executable }: PlannedFile, host: Buffer, guest: Buffer): boolean {
  const [a, b] = [lstatSync(host), lstatSync(guest)];
  if (kind === "symlink") {
    return (
      b.isSymbolicLink() &&
      readlinkSync(host, { encoding: "buffer" }).equals(readlinkSync(guest, { encoding: "buffer" }))
    );
  }
  if (!b.isFile() || a.size !== b.size || a.size > MAX_COMPARED || executable !== ((b.mode & 0o100) !== 0))
    return false;
  return readFileSync(host).equals(readFileSync(guest));
}
