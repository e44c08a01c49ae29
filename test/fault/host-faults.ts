/** Things that go wrong with the host: a full disk, a directory that cannot be written, a database that somebody holds. */
import { Database } from "bun:sqlite";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const IS_ROOT: boolean = process.getuid?.() === 0;

/** Why no file system can be mounted here; undefined when one can. */
export function whyNoMounts(): string | undefined {
  if (!IS_ROOT) return "mounting needs root";
  const probe = mkdtempSync(join(tmpdir(), "banger-mount-"));
  const reason = mount(["-t", "tmpfs", "-o", "size=64k", "none", probe]);
  if (reason === undefined) unmount(probe);
  rmSync(probe, { recursive: true });
  return reason;
}

/** A small file system of its own, over the directory `over` when given. Disposing unmounts it with all that is in it. */
export function createSmallDisk(sizeMib: number, over?: string): Disposable & { readonly path: string } {
  const path = over ?? mkdtempSync(join(tmpdir(), "banger-small-"));
  const reason = mount(["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=0700`, "none", path]);
  if (reason !== undefined) throw new Error(reason);
  return {
    path,
    [Symbol.dispose]() {
      unmount(path);
      if (over === undefined) rmSync(path, { recursive: true });
    },
  };
}

/** Takes all the space that is left, to the last byte. Disposing gives it back. */
export function fillDisk(dir: string): Disposable {
  const path = join(dir, "filler");
  const file = openSync(path, "wx", 0o600);
  for (let bytes = 1 << 20; bytes >= 1; ) {
    try {
      writeSync(file, Buffer.alloc(bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      bytes >>= 1;
    }
  }
  closeSync(file);
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** Nobody can write into `dir`: by its mode, or for root, whom no mode keeps out, by a read-only mount over it. */
export function makeUnwritable(dir: string): Disposable {
  if (!IS_ROOT) {
    chmodSync(dir, 0o500);
    return { [Symbol.dispose]: () => chmodSync(dir, 0o700) };
  }
  const reason = mount(["--bind", dir, dir]) ?? mount(["-o", "remount,bind,ro", dir]);
  if (reason !== undefined) throw new Error(reason);
  return { [Symbol.dispose]: () => unmount(dir) };
}

const HOLD = `
  const { Database } = require("bun:sqlite");
  const db = new Database(process.argv.at(-1));
  db.run("PRAGMA busy_timeout = 10000");
  db.run("BEGIN EXCLUSIVE");
  console.log("held");
  setInterval(() => undefined, 1e9);
`;

/** Another connection holds the database's write lock until this is disposed; at once, in the middle of whatever runs. */
export function lockDatabase(path: string): Disposable {
  const db = new Database(path);
  db.run("BEGIN EXCLUSIVE");
  return { [Symbol.dispose]: () => db.close() };
}

/** Another program holds the database's write lock until this is disposed. */
export async function holdDatabase(path: string): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, ["-e", HOLD, path], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function mount(args: readonly string[]): string | undefined {
  const { status, stderr } = spawnSync("mount", args);
  return status === 0 ? undefined : `mount ${args.join(" ")}: ${String(stderr).trim()}`;
}

/** Lazily: a process that is about to end may still have a file open there. */
function unmount(path: string): void {
  const { status, stderr } = spawnSync("umount", ["--lazy", path]);
  if (status !== 0) throw new Error(`umount ${path}: ${String(stderr).trim()}`);
}
