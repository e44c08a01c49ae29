/**
 * A repository of banger's own for each workspace: it borrows the objects of the host's, holds what is found in the guest, and no
 * line of its configuration is anybody else's. What guests say is looked at here and nowhere else.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GitOptions } from "./git.ts";
import { runGit } from "./git.ts";
import { shown } from "./names.ts";
import type { IndexEntry } from "./plan.ts";
import type { Repository } from "./repository.ts";

/** Makes one in `directory`, which exists and is empty. */
export function createShadow(
  directory: string,
  { commonDir, format }: Pick<Repository, "commonDir" | "format">,
): void {
  for (const name of ["objects/info", "objects/pack", "refs/heads"]) {
    mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
  }
  const isNew = format === "sha256";
  const extension = isNew ? "[extensions]\n\tobjectFormat = sha256\n" : "";
  writeFileSync(
    join(directory, "config"),
    `[core]\n\trepositoryFormatVersion = ${isNew ? 1 : 0}\n\tbare = true\n${extension}`,
  );
  writeFileSync(join(directory, "HEAD"), "ref: refs/heads/banger\n");
  const objects = shown(Buffer.from(join(commonDir, "objects")));
  // Quoted where it has to be, as gitrepository-layout(5) has it.
  writeFileSync(join(directory, "objects/info/alternates"), `${objects}\n`);
}

/** Changes to an index. */
export interface TreeChanges {
  /** Files that are now as they are in the work tree. */
  readonly changed: readonly Buffer[];
  readonly gone: readonly Buffer[];
  readonly workTree: string;
}

/** The tree of an index, with what has changed. */
export async function writeArrivalTree(
  shadow: GitOptions,
  index: readonly IndexEntry[],
  changes: TreeChanges,
): Promise<string> {
  await fillIndex(shadow, index);
  await changeIndex(shadow, changes);
  return await writeTree(shadow);
}

/** Changes the index of a shadow. Contents are converted as the attributes say; no filter is run. */
export async function changeIndex(
  shadow: GitOptions,
  { changed, gone, workTree }: TreeChanges,
): Promise<void> {
  const list = (names: readonly Buffer[]): Buffer => Buffer.concat(names.flatMap((name) => [name, NUL]));
  if (gone.length > 0) {
    await runGit(["update-index", "-z", "--force-remove", "--stdin"], {
      ...shadow,
      workTree,
      stdin: list(gone),
    });
  }
  if (changed.length > 0) {
    await runGit(["update-index", "-z", "--add", "--replace", "--stdin"], {
      ...shadow,
      workTree,
      stdin: list(changed),
    });
  }
}

/** The tree of the index as it is. */
export async function writeTree(shadow: GitOptions): Promise<string> {
  return (await runGit(["write-tree", "--missing-ok"], shadow)).toString("latin1").trim();
}

async function fillIndex(shadow: GitOptions, index: readonly IndexEntry[]): Promise<void> {
  const lines = index.flatMap(({ name, mode, oid }) => [
    Buffer.from(`${mode.toString(8)} ${oid} 0\t`),
    name,
    NUL,
  ]);
  await runGit(["update-index", "-z", "--index-info"], { ...shadow, stdin: Buffer.concat(lines) });
}

const NUL = Buffer.alloc(1);
