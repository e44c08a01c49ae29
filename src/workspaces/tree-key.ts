/** What of a work tree decides what its setup makes, as one hash. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, constants, createReadStream, fstatSync, openSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import type { Survey } from "./survey.ts";

/** Larger ones are told apart by what the file system says of them. */
const MAX_HASHED = 64 * 1024 * 1024;

/**
 * Hex; undefined where nothing can be kept, for what is there later cannot be sent afterwards: a revision. Files are those of the disk;
 * one that is missing counts as that.
 */
export async function treeKey(survey: Survey, inputs: readonly string[]): Promise<string | undefined> {
  const { wish, guestPath, parts } = survey;
  const [first, ...submodules] = parts;
  if (first === undefined || wish.from !== undefined) return undefined;
  const { top, commonDir, format, head, branch: checkedOut = head } = first.repository;
  const { branch, depth, includeUntracked = false, readonly = false } = wish;
  const hash = createHash("sha256");
  const say = (...values: readonly unknown[]): void => void hash.update(`${JSON.stringify(values)}\n`);
  // What runs in a setup may be of the tree, so that a stranger's branch does not prepare the machine of another.
  say(top, commonDir, format, checkedOut, guestPath, branch, depth, includeUntracked, readonly);
  // A submodule that is fetched later is not sent, and what a setup builds of one is not looked at: theirs is all of what they are.
  for (const { prefix, refs, plan } of submodules) {
    say(prefix.toString("latin1"), refs.head, refs.branch);
    for (const { name, disk } of plan.files) {
      say(name.toString("latin1"), disk?.size, disk && [disk.mtimeNs, disk.ctimeNs, disk.inode].map(String));
    }
  }
  for (const name of [...inputs].toSorted()) {
    say(name);
    await addFile(hash, top, name);
  }
  return hash.digest("hex");
}

async function addFile(hash: Hash, top: string, name: string): Promise<void> {
  const fd = openBelow(top, name);
  if (fd === undefined) return void hash.update("none");
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) hash.update("none");
    else if (status.size > MAX_HASHED) hash.update(`${status.size} ${status.mtimeMs} ${status.ino}`);
    else {
      hash.update(`${status.size} `);
      const stream = createReadStream("", {
        fd,
        autoClose: false,
        start: 0,
        end: Math.max(0, status.size - 1),
      });
      for await (const piece of stream) hash.update(piece as Buffer);
    }
  } finally {
    closeSync(fd);
  }
}

/** A link may lead out of the tree, and a pipe would be waited for. */
function openBelow(top: string, name: string): number | undefined {
  const path = join(top, name);
  try {
    const parent = `${realpathSync(dirname(path))}${sep}`;
    if (!parent.startsWith(`${realpathSync(top)}${sep}`)) return undefined;
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "ENXIO") return undefined;
    throw error;
  }
}
