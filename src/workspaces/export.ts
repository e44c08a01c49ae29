/** `export` and `diff`: what was done in the guest, as a patch that `git apply --index` takes on the host. */
import type { GitOptions } from "./git.ts";
import { streamGit } from "./git.ts";
import { resolveTree } from "./guest-history.ts";
import { readGuestState, type WorkspaceView } from "./guest-state.ts";
import { changedSubmodules, demandSubmodule } from "./submodules.ts";

export interface ExportOptions {
  readonly signal: AbortSignal;
  /** A revision to compare with, as the guest's repository has it; default: what arrived. */
  readonly base?: string | undefined;
  /** The path of a submodule: the patch is of this repository, and of nothing else. */
  readonly submodule?: string | undefined;
}

export interface Patch {
  readonly content: AsyncGenerator<Uint8Array>;
  /** What is left out, for people. */
  readonly notes: readonly string[];
}

/** Commits, what is staged and what is not, and files that git does not track and does not ignore. The guest's repository is only read. */
export async function exportPatch(whole: WorkspaceView, options: ExportOptions): Promise<Patch> {
  const { signal, base, submodule } = options;
  const view = submodule === undefined ? whole : demandSubmodule(whole, submodule);
  const state = await readGuestState(view, { signal });
  const apart = submodule === undefined ? await changedSubmodules(whole, state.scanned, signal) : [];
  const from =
    base === undefined
      ? view.record.tree
      : await resolveTree(view, { revision: base, scanned: state.scanned, signal });
  const git: GitOptions = { signal, gitDir: view.places.shadow };
  const content = streamGit(
    [
      "diff-tree",
      "-r",
      "-p",
      "--binary",
      "--full-index",
      "--no-ext-diff",
      "--no-textconv",
      "--no-renames",
      "--no-color",
      "--src-prefix=a/",
      "--dst-prefix=b/",
      from,
      state.tree,
    ],
    git,
  );
  return { content, notes: [...state.notes, ...apart] };
}
