/** One daemon a state directory: the lock, and what to do about the one who holds it. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";
import type { Layout } from "../host/layout.ts";
import { tryFileLock, waitForFileLock } from "../lib/file-lock.ts";
import { identifyProcess } from "../lib/process-identity.ts";
import { watchProcess } from "../lib/process-watch.ts";
import { listens } from "../lib/unix-connect.ts";
import { BangerError } from "../model/errors.ts";

/** Which banger it is; the command line looks whether it is the same. */
interface Build {
  readonly version: string;
  readonly build?: string | undefined;
}

const HolderSchema = z.object({ pid: z.int().min(1), socket: z.string() });

/**
 * Takes the daemon's lock for the life of this process. False when another daemon serves this socket already. One that holds the
 * lock and serves no socket (it is ending, or its runtime directory was removed) is told to end, and waited for: VMs live on.
 * Errors: `failed_precondition` when one serves the same state directory on another socket. The caller holds the start lock.
 */
export async function becomeTheDaemon(layout: Layout, who: Build): Promise<boolean> {
  if (tryFileLock(layout.daemonLock) === undefined) {
    if (await listens(layout.socket)) return false;
    const holder = readHolder(layout);
    if (holder !== undefined && holder.socket !== layout.socket && (await listens(holder.socket))) {
      throw new BangerError(
        "failed_precondition",
        `another daemon (pid ${holder.pid}) serves ${layout.stateDir} on ${holder.socket}`,
        { cure: "use its XDG_RUNTIME_DIR, or another state directory with BANGER_HOME=DIR" },
      );
    }
    if (holder !== undefined) await askToEnd(holder.pid);
    waitForFileLock(layout.daemonLock);
  }
  writeHolder(layout, who);
  return true;
}

/** Over what is there, which takes no new room; on a full disk nobody is named, and the daemon serves all the same. */
function writeHolder(layout: Layout, { version, build }: Build): void {
  const holder = JSON.stringify({ pid: process.pid, socket: layout.socket, version, build });
  const file = openSync(layout.daemonLock, "r+");
  try {
    ftruncateSync(file, writeIfRoom(file, holder));
  } finally {
    closeSync(file);
  }
}

/** How many bytes were written: none where the disk is full. */
function writeIfRoom(file: number, text: string): number {
  try {
    return writeSync(file, text, 0);
  } catch (error) {
    if (BangerError.from(error).code === "resource_exhausted") return 0;
    throw error;
  }
}

/** Who wrote the lock file last; as it holds the lock, it is alive. */
function readHolder(layout: Layout): z.infer<typeof HolderSchema> | undefined {
  try {
    const parsed = HolderSchema.safeParse(JSON.parse(readFileSync(layout.daemonLock, "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // Between taking the lock and writing its name: it is only just starting.
    return undefined;
  }
}

async function askToEnd(pid: number): Promise<void> {
  const identity = identifyProcess(pid);
  const watch = identity === undefined ? undefined : await watchProcess(identity);
  watch?.signal("SIGTERM");
  watch?.release();
}
