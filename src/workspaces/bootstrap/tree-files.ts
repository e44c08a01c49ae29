/** Single files of a work tree, read as what a stranger wrote: of a bounded size, and never through a link. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BangerError } from "../../model/errors.ts";
import { type GitOptions, runGit } from "../git.ts";

/** Far more than a person writes into one of them. */
export const MAX_TREE_FILE: number = 16 * 1024;

export interface TreeFiles {
  /** The bytes of `path` below the top; undefined where there is no file. Errors: `resource_exhausted` (over 16 KiB). */
  read(path: string): Promise<Buffer | undefined>;
  has(path: string): Promise<boolean>;
}

/** The files on disk, tracked or not. */
export function filesOnDisk(top: string): TreeFiles {
  const open = (path: string): number | undefined => {
    const parent = lstatSync(dirname(join(top, path)), { throwIfNoEntry: false });
    if (parent?.isDirectory() !== true) return undefined;
    try {
      // A pipe would be waited for, and a link may lead out of the tree.
      return openSync(join(top, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ELOOP" || code === "ENXIO") return undefined;
      throw error;
    }
  };
  return {
    has: async (path) => isFile(join(top, path)),
    read: async (path) => {
      const file = open(path);
      if (file === undefined) return undefined;
      try {
        const status = fstatSync(file);
        if (!status.isFile()) return undefined;
        if (status.size > MAX_TREE_FILE) throw tooLarge(path, status.size);
        return readFileSync(file);
      } finally {
        closeSync(file);
      }
    },
  };
}

/** No name is too odd for a question. */
function isFile(path: string): boolean {
  try {
    return lstatSync(path).isFile();
  } catch {
    return false;
  }
}

/** The files of a commit. */
export function filesOfCommit(git: GitOptions, commit: string): TreeFiles {
  const find = async (path: string): Promise<{ oid: string; size: number } | undefined> => {
    const line = (await runGit(["ls-tree", "-l", "--full-tree", commit, "--", path], git)).toString("latin1");
    const [, oid, size] = /^100(?:644|755) blob ([0-9a-f]{40,64}) +(\d+)\t/.exec(line) ?? [];
    return oid === undefined ? undefined : { oid, size: Number(size) };
  };
  return {
    has: async (path) => (await find(path)) !== undefined,
    read: async (path) => {
      const found = await find(path);
      if (found === undefined) return undefined;
      if (found.size > MAX_TREE_FILE) throw tooLarge(path, found.size);
      return await runGit(["cat-file", "blob", found.oid], git);
    },
  };
}

function tooLarge(path: string, bytes: number): BangerError {
  return new BangerError("resource_exhausted", `${path} has ${bytes} bytes, more than ${MAX_TREE_FILE}`, {
    cure: "put commands into a script of the tree and run that; or go without it: --no-bootstrap",
    details: { path },
  });
}
