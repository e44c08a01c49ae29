/**
 * Files with a filter (Git LFS, git-crypt): no filter is run, so they travel as git has stored them, unless they were changed. A
 * pointer of LFS stays a pointer.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { type GitOptions, gitRecords } from "./git.ts";
import { pathOf, shown } from "./names.ts";
import { ObjectReader } from "./objects.ts";
import type { PlannedFile } from "./plan.ts";

/** A pointer has at most 1024 bytes (git-lfs spec.md). */
const MAX_POINTER = 1024;

export interface Filtered {
  /** Names (latin1) of files that travel as git has stored them. */
  readonly stored: ReadonlySet<string>;
  readonly notes: readonly string[];
}

/** `stale`: names (latin1) of files that git's index takes for changed. */
export async function findFiltered(
  git: GitOptions,
  files: readonly PlannedFile[],
  { stale, top }: { readonly stale: ReadonlySet<string>; readonly top: string },
): Promise<Filtered> {
  const stored = new Set<string>();
  const notes: string[] = [];
  const names = mayHaveFilters(files, git.gitDir) ? await withFilter(git, files) : new Set<string>();
  if (names.size === 0) return { stored, notes };
  await using reader = new ObjectReader(git);
  for (const file of files) {
    const key = file.name.toString("latin1");
    if (!names.has(key) || file.entry === undefined) continue;
    const isChanged = stale.has(key) && !(await isPointerTo(reader, file.entry.oid, pathOf(top, file.name)));
    if (isChanged) notes.push(`${shown(file.name)}: its filter is not run; it travels as it is on disk`);
    else stored.add(key);
  }
  return { stored, notes };
}

/** Asking about thousands of files takes a while, and most repositories say nothing of any. */
function mayHaveFilters(files: readonly PlannedFile[], gitDir: string | undefined): boolean {
  const isThere = files.some(({ name }) => /(^|\/)\.gitattributes$/.test(name.toString("latin1")));
  // A linked work tree has its own directory, and shares the attributes of the main one.
  return (
    isThere ||
    gitDir === undefined ||
    gitDir.includes("/worktrees/") ||
    existsSync(join(gitDir, "info/attributes"))
  );
}

async function withFilter(git: GitOptions, files: readonly PlannedFile[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const tracked = files.filter(({ entry }) => entry !== undefined);
  if (tracked.length === 0) return found;
  const stdin = Buffer.concat(tracked.flatMap(({ name }) => [name, Buffer.alloc(1)]));
  const fields: Buffer[] = [];
  for await (const field of gitRecords(["check-attr", "-z", "--stdin", "filter"], { ...git, stdin })) {
    fields.push(Buffer.from(field));
    if (fields.length < 3) continue;
    const [name, , value] = fields.splice(0);
    const isSet = !["unspecified", "unset", "set"].includes(value?.toString("latin1") ?? "unset");
    if (isSet && name !== undefined) found.add(name.toString("latin1"));
  }
  return found;
}

/** Whether an object is a pointer of LFS to what a file holds. */
async function isPointerTo(reader: ObjectReader, oid: string, path: Buffer): Promise<boolean> {
  const { size } = await reader.open(oid);
  if (size > MAX_POINTER) return false;
  const text = (await reader.whole()).toString("latin1");
  const wanted =
    /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n/.exec(
      text,
    )?.[1];
  if (wanted === undefined) return false;
  const hash = createHash("sha256");
  // A name of odd bytes is none for a stream.
  const content = createReadStream("", { fd: openSync(path, "r") });
  for await (const piece of content) hash.update(piece as Buffer);
  return hash.digest("hex") === wanted;
}
