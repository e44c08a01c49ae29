/**
 * The process that keeps an ordinary user's namespaces: user_namespaces(7) and network_namespaces(7) live as long as a process is in
 * them. It sleeps, outlives the daemon as VMs do, and is found again by a number of its own on its command line.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { endProcess } from "../../lib/end-process.ts";
import { findAllByCommandLine } from "../../lib/find-processes.ts";
import { LineTail } from "../../lib/line-tail.ts";
import { identifyProcess, type ProcessHandle, readCommandLine } from "../../lib/process-identity.ts";
import { findProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";

/** How unshare(1) makes the namespaces: the user is root in them, and nobody else is anybody. */
export const UNSHARE: readonly string[] = ["--user", "--map-root-user", "--net", "--"];
/** Says that the namespaces are there, and then sleeps: sleep(1) takes several times and adds them up. */
const KEEP = 'echo; exec sleep infinity "$1" >/dev/null 2>&1';
/** What stands before the marker: of the shell, and of what it becomes. */
const MARKED: readonly string[] = ["sh", "infinity"];

/** Seconds beyond all time, and different for every namespace. */
export function holderMarker(netnsPath: string): string {
  const hash = createHash("sha256").update(netnsPath).digest();
  return String(hash.readUIntBE(0, 6) + 1e15);
}

/** The process that keeps the namespaces, one that was to make them and had not yet, or none. */
export async function findHolder(marker: string): Promise<ProcessHandle | "unfinished" | "none"> {
  const found = await findAllByCommandLine(marker, { behind: MARKED });
  const ready = found.find(({ pid }) => readCommandLine(pid)[0] === "sleep");
  return ready ?? (found.length > 0 ? "unfinished" : "none");
}

/** Resolves when the namespaces are there. Errors: `unavailable`. */
export async function startHolder(marker: string): Promise<ProcessHandle> {
  const program = findProgram("unshare");
  if (program === undefined)
    throw failed("the program unshare is not installed", "apt-get install util-linux");
  const child = spawn(program, [...UNSHARE, "sh", "-c", KEEP, "sh", marker], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
  });
  const words = new LineTail();
  child.stderr.on("data", (chunk: Uint8Array) => words.push(chunk));
  const ended = once(child, "close");
  const isReady = await Promise.race([
    once(child.stdout, "data").then(() => true),
    ended.then(
      () => false,
      () => false,
    ),
  ]);
  const handle = child.pid === undefined ? undefined : identifyProcess(child.pid);
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  if (isReady && handle !== undefined) return handle;
  throw failed(
    `this user's namespaces could not be made: ${words.end() || "unshare ended"}`,
    "see what the host offers with: banger doctor",
  );
}

/** Ends every process that keeps the namespaces or is about to make them, and waits until they are gone. */
export async function endHolders(marker: string): Promise<void> {
  let found = await findAllByCommandLine(marker, { behind: MARKED });
  while (found.length > 0) {
    await Promise.all(found.map(endProcess));
    found = await findAllByCommandLine(marker, { behind: MARKED });
  }
}

function failed(message: string, cure: string): BangerError {
  return new BangerError("unavailable", message, { cure });
}
