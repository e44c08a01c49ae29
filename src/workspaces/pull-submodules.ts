/** `pull` of a workspace with submodules: their commits first, so that no commit of the outer names one that is nowhere. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import type { PulledSubmodule } from "../model/workspace.ts";
import { filesBelow, hasRepository } from "./apart.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { type Pulled, type PullOptions, pullCommits, tryPull } from "./pull.ts";
import { namePath, type Submodule, submodulesOf } from "./submodules.ts";

export interface PulledWorkspace extends Pulled {
  /** Those in which something was done. */
  readonly submodules: readonly PulledSubmodule[];
}

/** Errors: those of `pullCommits`; what has come of submodules by then stays, and the command may be repeated. */
export async function pullWorkspace(view: WorkspaceView, options: PullOptions): Promise<PulledWorkspace> {
  const submodules: PulledSubmodule[] = [];
  const notes: string[] = [];
  const all = submodulesOf(view);
  const scanned = await view.guest.scan(view.record.guestPath);
  for (const { path, view: its } of all.toReversed()) {
    const inside = filesBelow(scanned, path);
    if (inside.length === 0) continue;
    const absent = !hasRepository(inside)
      ? "no repository of its own in the guest any more"
      : existsSync(join(its.record.hostPath, ".git"))
        ? undefined
        : "no repository on the host any more";
    if (absent !== undefined) {
      notes.push(`${namePath(path)}: ${absent}, and commits in it stay in the guest`);
      continue;
    }
    const pulled = await pullOne({ path, view: its }, options);
    if (pulled === undefined) continue;
    const { branch, head, commits, uncommitted } = pulled;
    notes.push(...pulled.notes.map((note) => `${namePath(path)}: ${note}`));
    if (commits > 0) submodules.push({ path, branch, head, commits, uncommitted });
    else if (uncommitted) submodules.push({ path, commits, uncommitted });
  }
  const pulled = await pullCommits(view, options);
  return { ...pulled, notes: [...notes, ...pulled.notes], submodules: submodules.toReversed() };
}

/** Undefined where nothing is committed. */
async function pullOne({ path, view }: Submodule, options: PullOptions): Promise<Pulled | undefined> {
  try {
    return await tryPull(view, { ...options, onlyNew: true });
  } catch (thrown) {
    const { code, message, cure, details } = BangerError.from(thrown);
    throw new BangerError(code, `${namePath(path)}: ${message}`, {
      details: { ...details, submodule: path },
      cause: thrown,
      ...(cure === undefined ? {} : { cure }),
    });
  }
}
