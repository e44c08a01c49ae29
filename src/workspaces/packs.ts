/** The objects that a copy needs, packed by git into files that the guest's repository takes as they are. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type GitOptions, gitRecords, runGit } from "./git.ts";
import type { IndexEntry } from "./plan.ts";
import type { Refs } from "./refs.ts";

export interface PackFile {
  /** Such as `pack-….idx`. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

/**
 * Packs everything that `refs` and the index lead to into `directory`; `without`: what the other side has already. `shadow` borrows the
 * objects: in a repository itself, git would write its temporary files.
 */
export async function packObjects(
  shadow: GitOptions,
  directory: string,
  wanted: { readonly refs: Refs; readonly staged: readonly string[]; readonly without?: readonly string[] },
): Promise<PackFile[]> {
  const { refs, staged, without = [] } = wanted;
  const tips = new Set([
    ...(refs.head === undefined ? [] : [refs.head]),
    ...refs.all.map(({ oid }) => oid),
    ...staged,
  ]);
  const lines = [
    ...refs.shallow.map((oid) => `--shallow ${oid}`),
    ...tips,
    ...without.map((oid) => `^${oid}`),
  ];
  if (tips.size === 0) return [];
  await runGit(
    [
      "pack-objects",
      "--quiet",
      "--revs",
      "--non-empty",
      "--delta-base-offset",
      "--threads=2",
      join(directory, "pack"),
    ],
    { ...shadow, stdin: Buffer.from(`${lines.join("\n")}\n`) },
  );
  return readdirSync(directory)
    .filter((name) => /^pack-[0-9a-f]+\.(pack|idx)$/.test(name))
    .map((name) => ({ name, path: join(directory, name), size: statSync(join(directory, name)).size }));
}

/** Objects that only the index leads to: what was added and not committed. */
export async function stagedObjects(
  git: GitOptions,
  index: readonly IndexEntry[],
  head: string | undefined,
): Promise<string[]> {
  if (head === undefined) return index.map(({ oid }) => oid);
  const oids: string[] = [];
  const listing = gitRecords(
    ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules", head],
    git,
  );
  for await (const record of listing) {
    const [, mode = "", , oid = ""] = record.toString("latin1").split(" ");
    // The name is a record of its own.
    if (record[0] === 0x3a && mode !== "000000" && mode !== "160000" && /^[0-9a-f]+$/.test(oid))
      oids.push(oid);
  }
  return oids;
}

/** Names (latin1) of files that the index takes for changed, or cannot vouch for. */
export async function staleFiles(git: GitOptions): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const listing = gitRecords(
    ["diff-files", "--name-only", "-z", "--no-ext-diff", "--ignore-submodules=all"],
    git,
  );
  for await (const name of listing) names.add(name.toString("latin1"));
  return names;
}
