/** Whether the host's work tree is still what was sent. Only names and times are looked at; new files that git does not know are not. */
import { join } from "node:path";
import type { WorkspaceRecord } from "../model/workspace.ts";
import { tryGitLine } from "./git.ts";
import { readManifest } from "./manifest.ts";
import { pathOf } from "./names.ts";
import type { WorkspacePlaces } from "./places.ts";
import { breathe, stateOf } from "./plan.ts";

/** Files looked at before others get their turn. */
const SLICE = 512;

/** What has moved on, for people; undefined: nothing. Errors: those of git and of the host's files. */
export async function findDrift(
  record: WorkspaceRecord,
  places: WorkspacePlaces,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { hostPath, submodules = [] } = record;
  // It was started from elsewhere on purpose.
  if (record.ofRevision) return undefined;
  const head = await tryGitLine(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"], {
    signal,
    cwd: hostPath,
    userConfig: true,
  });
  if (head !== record.head) return `${hostPath} is at ${head?.slice(0, 12) ?? "no commit"} now`;
  let changed = await countChanged(hostPath, places, signal);
  for (const [number, { path }] of submodules.entries()) {
    changed += await countChanged(join(hostPath, path), places.submodule(number), signal);
  }
  return changed === 0
    ? undefined
    : `${changed} file${changed === 1 ? " has" : "s have"} changed in ${join(hostPath, "/")}`;
}

async function countChanged(top: string, places: WorkspacePlaces, signal: AbortSignal): Promise<number> {
  let changed = 0;
  for (const [at, { name, disk }] of readManifest(places.manifest).entries()) {
    if (at % SLICE === SLICE - 1) await breathe(signal);
    if (disk === undefined) continue;
    const now = stateOf(pathOf(top, name));
    const isSame =
      now !== undefined && now !== "other" && now.size === disk.size && now.mtimeNs === disk.mtimeNs;
    if (!isSame) changed += 1;
  }
  return changed;
}
