/**
 * Publishing of files and directories: written aside under a temporary name in the same directory, flushed,
 * and moved to their name in one step, so that a reader sees all of it or nothing. A temporary name says
 * which process owns it, so that what a crashed process left can be told from work under way.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { identifyProcess, readProcessStat } from "./process-identity.ts";
import { removeTree } from "./remove-tree.ts";

const TEMPORARY = /^\.tmp-(\d+)-(\d+)-[0-9a-f]+$/u;

/** A fresh temporary name: `.tmp-<pid>-<start time>-<random>`. */
export function temporaryName(): string {
  const startTicks = readProcessStat(process.pid)?.startTicks ?? 0;
  return `.tmp-${process.pid}-${startTicks}-${randomBytes(6).toString("hex")}`;
}

/**
 * Makes a directory under `parent` (which is created when absent). `fill` writes into the temporary directory
 * and returns the final name. An entry that has that name already stays and counts as success: names are
 * content addresses. Returns the final path. When `fill` throws, nothing is left behind. Errors:
 * `resource_exhausted` (no space).
 */
export async function publishDirectory(
  parent: string,
  fill: (dir: string) => Promise<string>,
): Promise<string> {
  return withTemporaryDirectory(parent, async (dir) => {
    const target = join(parent, await fill(dir));
    await syncTree(dir);
    await renameUnlessThere(dir, target);
    await syncPath(parent);
    return target;
  });
}

/**
 * Runs `work` with a fresh directory under `parent` (which is created when absent), mode 0700, that is removed
 * afterwards whatever happened. A crash leaves it to `removeLeftovers`.
 */
export async function withTemporaryDirectory<T>(
  parent: string,
  work: (dir: string) => Promise<T>,
): Promise<T> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const dir = join(parent, temporaryName());
  try {
    await mkdir(dir, { mode: 0o700 });
    return await work(dir);
  } catch (error) {
    throw storageError(error, parent);
  } finally {
    await removeTree(dir);
  }
}

/**
 * Makes a file `path` (its directory is created when absent) from what `write` puts into the temporary file.
 * An existing file is `already_exists`, and stays as it was. When `write` throws, nothing is left behind.
 * `flush: false` leaves the flushing of the data to the kernel, for what can be made again.
 */
export async function publishFile(
  path: string,
  write: (temporaryPath: string) => Promise<void>,
  options: { readonly flush?: boolean } = {},
): Promise<void> {
  const parent = join(path, "..");
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const temporary = join(parent, temporaryName());
  try {
    await write(temporary);
    if (options.flush !== false) await syncPath(temporary);
    // A hard link, unlike a rename, never replaces what is there (link(2): EEXIST).
    await link(temporary, path);
    if (options.flush !== false) await syncPath(parent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      throw new BangerError("already_exists", `${path} exists already`, { cause: error });
    }
    throw storageError(error, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Removes what processes that are gone left under `parent`: only temporary names, only those whose owner no
 * longer runs. Returns the removed names. A missing directory has no leftovers. Safe to repeat and to run
 * side by side.
 */
export async function removeLeftovers(parent: string): Promise<string[]> {
  const names = await listLeftovers(parent);
  for (const name of names) await removeTree(join(parent, name));
  return names;
}

/** The names that `removeLeftovers` would remove. */
export async function listLeftovers(parent: string): Promise<string[]> {
  const names = await readdir(parent).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => {
    const match = TEMPORARY.exec(name);
    // One that has ended and waits to be reaped owns nothing any more.
    return match !== null && identifyProcess(Number(match[1]))?.startTicks !== Number(match[2]);
  });
}

/**
 * Translates an error of the file system where it is one that a user can cure; everything else passes
 * through.
 */
export function storageError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return new BangerError("resource_exhausted", `no space left for ${path}`, {
      cure: "free space with: banger prune",
      details: { path },
      cause: error,
    });
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new BangerError("permission_denied", `cannot write ${path}`, { details: { path }, cause: error });
  }
  return error;
}

/** Flushes one file or directory. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncTree(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncPath(path);
  }
  await syncPath(dir);
}

async function renameUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    // rename(2): a directory that is not empty is not replaced. Another process was first with the same
    // content.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}
