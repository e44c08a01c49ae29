/** Which of the guest's new files git would ignore there, by the rules that are in its work tree now. */
import { lstatSync, writeFileSync } from "node:fs";
import { BangerError } from "../model/errors.ts";
import { type GitOptions, gitRecords } from "./git.ts";
import { isName, pathOf } from "./names.ts";
import { ObjectReader } from "./objects.ts";
import { makeParents } from "./unpack.ts";

export interface IgnoreQuestion {
  readonly added: readonly Buffer[];
  readonly gone: readonly Buffer[];
  /** What arrived. */
  readonly tree: string;
  /** Has the rules that were changed in the guest; gets the others. */
  readonly workTree: string;
}

/** Names (latin1). */
export async function findIgnored(
  git: GitOptions,
  { added, gone, tree, workTree }: IgnoreQuestion,
): Promise<ReadonlySet<string>> {
  const ignored = new Set<string>();
  if (added.length === 0) return ignored;
  await writeRules(git, { gone: new Set(gone.map((name) => name.toString("latin1"))), tree, workTree });
  const none = new BangerError("not_found", "nothing is ignored");
  // So that none begins with what git takes for more than a name.
  const stdin = Buffer.concat(added.flatMap((name) => [HERE, name, Buffer.alloc(1)]));
  const asking = gitRecords(["check-ignore", "-z", "--stdin", "--no-index"], {
    ...git,
    workTree,
    stdin,
    literal: false,
    failure: ({ exitCode, stderrTail }) =>
      exitCode === 1
        ? none
        : new BangerError("failed_precondition", `git check-ignore failed: ${stderrTail}`),
  });
  try {
    for await (const name of asking) ignored.add(name.toString("latin1", HERE.length));
  } catch (error) {
    if (error !== none) throw error;
  }
  return ignored;
}

const HERE = Buffer.from("./");

/** The `.gitignore` files that arrived and are still there. What the guest has in a place of one stays: a link of its is not followed. */
async function writeRules(
  git: GitOptions,
  {
    gone,
    tree,
    workTree,
  }: { readonly gone: ReadonlySet<string>; readonly tree: string; readonly workTree: string },
): Promise<void> {
  await using reader = new ObjectReader(git);
  const directories = new Set<string>();
  for await (const record of gitRecords(["ls-tree", "-z", "-r", "--full-tree", tree], git)) {
    const tab = record.indexOf(0x09);
    const name = Buffer.from(record.subarray(tab + 1));
    const [mode = "", , oid = ""] = record.toString("latin1", 0, tab).split(" ");
    const isRule = /(^|\/)\.gitignore$/.test(name.toString("latin1")) && mode.startsWith("100");
    if (!isRule || !isName(name) || gone.has(name.toString("latin1"))) continue;
    if (!makeParents(workTree, name, directories)) continue;
    const place = pathOf(workTree, name);
    if (lstatSync(place, { throwIfNoEntry: false }) !== undefined) continue;
    await reader.open(oid);
    writeFileSync(place, await reader.whole(), { flag: "wx", mode: 0o600 });
  }
}
