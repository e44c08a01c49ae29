/** The submodules that travelled with a workspace: each is a workspace of its own below it. */
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";
import { filesBelow } from "./apart.ts";
import { readGuestState, type WorkspaceView } from "./guest-state.ts";
import { shown } from "./names.ts";
import type { ScannedFile } from "./scan.ts";

export interface Submodule {
  /** Of its work tree, below the top of the workspace. */
  readonly path: string;
  readonly view: WorkspaceView;
}

/** In the order of the record: the outer before the inner. */
export function submodulesOf({ record, guest, places }: WorkspaceView): Submodule[] {
  const { submodules = [], ...rest } = record;
  return submodules.map(({ path, head, tree, branch }, number) => ({
    path,
    view: {
      record: {
        ...rest,
        hostPath: `${record.hostPath}/${path}`,
        guestPath: `${record.guestPath}/${path}`,
        head,
        tree,
        branch,
        ownBranch: false,
      },
      guest,
      places: places.submodule(number),
      apart: submodules.flatMap((other) =>
        other.path.startsWith(`${path}/`) ? [other.path.slice(path.length + 1)] : [],
      ),
    },
  }));
}

/** Errors: `not_found`. */
export function demandSubmodule(view: WorkspaceView, path: string): WorkspaceView {
  const all = submodulesOf(view);
  const found = all.find((submodule) => submodule.path === path.replace(/\/+$/, ""));
  if (found !== undefined) return found.view;
  const names = all.map((submodule) => namePath(submodule.path)).join(", ");
  throw new BangerError("not_found", `no submodule ${quote(path)} travelled with the workspace`, {
    cure: names === "" ? "none did: leave --submodule away" : `name one of these: ${names}`,
    details: { field: "submodule" },
  });
}

/** What was done in submodules is not in the patch of what is around them: which, for people. `scanned` is of all. */
export async function changedSubmodules(
  view: WorkspaceView,
  scanned: readonly ScannedFile[],
  signal: AbortSignal,
): Promise<string[]> {
  const notes: string[] = [];
  for (const { path, view: its } of submodulesOf(view)) {
    const inside = filesBelow(scanned, path);
    const name = namePath(path);
    if (inside.length === 0)
      notes.push(`${name}: this submodule is gone in the guest, and stays on the host`);
    // Without a repository its files are plain files, and in the patch.
    if (!inside.some((file) => file.name.equals(GIT))) continue;
    const state = await readGuestState(its, { signal, scanned: inside });
    if (state.tree === its.record.tree) continue;
    notes.push(
      `${name}: what was done in this submodule is not in this patch; take it out with --submodule ${name}`,
    );
  }
  return notes;
}

/** For people. */
export function namePath(path: string): string {
  return shown(Buffer.from(path));
}

const GIT = Buffer.from(".git");
