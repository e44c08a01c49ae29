/** Writing a paused QEMU machine into a directory. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { readCommandLine } from "../../lib/process-identity.ts";
import { storageError } from "../../lib/publish.ts";
import { BangerError } from "../../model/errors.ts";
import { demandEmpty, removeSnapshot, snapshotFiles, writeDescription } from "../snapshot-files.ts";
import { factsFromArguments } from "./facts.ts";
import { type Capture, captureRam, copyRest, findGuestRam, openBase } from "./guest-ram.ts";
import type { QmpClient } from "./qmp.ts";

/** A paused machine is still for good once what was under way to it has arrived. */
const MAX_ATTEMPTS = 5;

export interface SaveInput {
  readonly qmp: QmpClient;
  readonly pid: number;
  readonly captured: (() => void) | undefined;
}

/** As `Running.snapshot`. */
export async function saveQemu(dir: string, { qmp, pid, captured }: SaveInput): Promise<void> {
  await demandPaused(qmp);
  demandEmpty(dir);
  try {
    writeDescription(dir, "qemu", factsFromArguments(readCommandLine(pid), qmp.version));
    const ram = await findGuestRam(qmp, pid);
    await using base = await openBase(ram);
    const found = await capture(dir, qmp, (path) => captureRam(ram, path, base));
    captured?.();
    if (base !== undefined && !found.whole) await copyRest(snapshotFiles(dir).memory, base, found.captured);
  } catch (error) {
    removeSnapshot(dir);
    throw storageError(error, dir);
  }
}

async function demandPaused(qmp: QmpClient): Promise<void> {
  const status = (await qmp.execute("query-status")) as { status?: unknown };
  if (status.status === "paused") return;
  throw new BangerError(
    "failed_precondition",
    `the machine is ${String(status.status)}; a snapshot needs it paused`,
  );
}

/**
 * Devices may write to a paused guest's memory: what the host had sent before arrives in its buffers. State and memory belong
 * together only if the state is the same before and after the memory was copied.
 */
async function capture(
  dir: string,
  qmp: QmpClient,
  copyMemory: (path: string) => Promise<Capture>,
): Promise<Capture> {
  const { state, memory } = snapshotFiles(dir);
  let before = await saveState(qmp, state);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    rmSync(memory, { force: true });
    const found = await copyMemory(memory);
    const after = await saveState(qmp, state);
    if (after.equals(before)) return found;
    before = after;
  }
  throw new BangerError("unavailable", "the paused machine's devices do not come to rest", {
    cure: "end what sends data to the VM, then repeat",
  });
}

/**
 * The state of all devices and CPUs, without memory. The command is named for its first user; nothing in it is about Xen (QEMU's
 * migration/savevm.c). It writes a migration stream that lacks the sections of memory and the one that describes the stream.
 */
async function saveState(qmp: QmpClient, path: string): Promise<Buffer> {
  // QEMU would make it with a mode by its own umask.
  writeFileSync(path, "", { mode: 0o600 });
  // Not `live`: that would hand the disks over to another process.
  await qmp.execute("xen-save-devices-state", { filename: path, live: false });
  return readFileSync(path);
}
