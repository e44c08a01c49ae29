/** The work tree of a guest as a git tree, made on the host: git runs on banger's own repository, and on no line that the guest wrote. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import type { WorkspaceRecord } from "../model/workspace.ts";
import { ownFiles } from "./apart.ts";
import { findChanges } from "./changes.ts";
import { type GitOptions, runGit } from "./git.ts";
import type { GuestTree } from "./guest-tree.ts";
import { findIgnored } from "./ignored.ts";
import { readManifest } from "./manifest.ts";
import type { WorkspacePlaces } from "./places.ts";
import type { ScannedFile } from "./scan.ts";
import { changeIndex, writeTree } from "./shadow.ts";
import { MAX_BYTES, unpackFiles } from "./unpack.ts";

/** A workspace and the ways to both of its copies. */
export interface WorkspaceView {
  readonly record: WorkspaceRecord;
  readonly guest: GuestTree;
  readonly places: WorkspacePlaces;
  /** Directories below it that are workspaces of their own: submodules. */
  readonly apart: readonly string[];
}

export interface GuestState {
  /** Of everything that git would take in the guest. */
  readonly tree: string;
  readonly scanned: readonly ScannedFile[];
  readonly notes: readonly string[];
}

/**
 * Reads what has changed in the guest; `scanned`: when it was listed before. Errors: `failed_precondition` (the workspace is gone there),
 * the guest's, `cancelled`.
 */
export async function readGuestState(
  view: WorkspaceView,
  { signal, ...known }: { readonly signal: AbortSignal; readonly scanned?: readonly ScannedFile[] },
): Promise<GuestState> {
  const { record, guest, places, apart } = view;
  const scanned = known.scanned ?? (await guest.scan(record.guestPath));
  const changes = findChanges(ownFiles(scanned, apart), readManifest(places.manifest));
  if (changes.changed.length + changes.added.length + changes.gone.length === 0) {
    return { tree: record.tree, scanned, notes: changes.notes };
  }
  const directory = join(places.directory, temporaryName());
  const workTree = join(directory, "tree");
  await mkdir(workTree, { recursive: true, mode: 0o700 });
  try {
    const git: GitOptions = {
      signal,
      gitDir: places.shadow,
      env: { GIT_INDEX_FILE: join(directory, "index") },
    };
    await runGit(["read-tree", record.tree], git);
    const budget = { left: MAX_BYTES };
    const take = async (names: readonly Buffer[]): Promise<Buffer[]> => {
      const wanted = new Set(names.map((name) => name.toString("latin1")));
      const came: string[] = [];
      for await (const archive of guest.pick(record.guestPath, names)) {
        came.push(...(await unpackFiles(archive, workTree, { wanted, budget })));
      }
      return came.map((key) => Buffer.from(key, "latin1"));
    };
    const rules = changes.added.filter(isRule);
    const changed = await take([...changes.changed, ...rules]);
    const ignored = await findIgnored(git, { ...changes, tree: record.tree, workTree });
    const added = await take(
      changes.added.filter((name) => !isRule(name) && !ignored.has(name.toString("latin1"))),
    );
    const kept = changed.filter((name) => !ignored.has(name.toString("latin1")));
    await changeIndex(
      { ...git, config: CONVERSION },
      { changed: [...kept, ...added], gone: changes.gone, workTree },
    );
    return { tree: await writeTree(git), scanned, notes: changes.notes };
  } finally {
    await removeTree(directory);
  }
}

/** Line ends that do not survive the way there and back are nobody's fault here. */
const CONVERSION = [["core.safecrlf", "false"]] as const;

/** Files that say what is ignored, and how contents are converted: they go first. */
function isRule(name: Buffer): boolean {
  const text = name.toString("latin1");
  return /(^|\/)\.git(ignore|attributes)$/.test(text);
}
