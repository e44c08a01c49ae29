/** Writing a paused QEMU machine into a directory. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { readCommandLine } from "../../lib/process-identity.ts";
import { storageError } from "../../lib/publish.ts";
import { BangerError } from "../../model/errors.ts";
import { demandEmpty, removeSnapshot, snapshotFiles, writeDescription } from "../snapshot-files.ts";
import { factsFromArguments } from "./facts.ts";
import { type Capture, captureRam, findGuestRam, type GuestRam, openBase } from "./guest-ram.ts";
import type { QmpClient } from "./qmp.ts";

/** A paused machine is still for good once what was under way to it has arrived. */
const MAX_ATTEMPTS = 5;

export interface SaveInput {
  /** QEMU serves one client at a time, so this one is closed before the machine may go on. */
  readonly connect: () => Promise<QmpClient>;
  readonly pid: number;
  readonly captured: (() => void) | undefined;
}

/** As `Running.snapshot`. */
export async function saveQemu(dir: string, { connect, pid, captured }: SaveInput): Promise<void> {
  const qmp = await connect();
  let written = false;
  try {
    await demandPaused(qmp);
    demandEmpty(dir);
    written = true;
    writeDescription(dir, "qemu", factsFromArguments(readCommandLine(pid), qmp.version));
    const ram = await findGuestRam(qmp, pid);
    await using base = await openBase(ram);
    await using capture = await captureStill(dir, qmp, ram);
    qmp[Symbol.dispose]();
    captured?.();
    await capture.finish(base);
  } catch (error) {
    if (written) removeSnapshot(dir);
    throw storageError(error, dir);
  } finally {
    qmp[Symbol.dispose]();
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
async function captureStill(dir: string, qmp: QmpClient, ram: GuestRam): Promise<Capture> {
  const { state, memory } = snapshotFiles(dir);
  let before = await saveState(qmp, state);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const capture = await captureRam(ram, memory);
    const after = await saveState(qmp, state).catch(async (error: unknown) => {
      await capture[Symbol.asyncDispose]();
      throw error;
    });
    if (after.equals(before)) return capture;
    await capture[Symbol.asyncDispose]();
    rmSync(memory, { force: true });
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
  await qmp.execute("xen-save-devices-state", { filename: path, live: false }).catch((error: unknown) => {
    throw notSaved(path, BangerError.from(error));
  });
  return readFileSync(path);
}

/** QEMU does not say what was wrong with the file. */
function notSaved(path: string, error: BangerError): BangerError {
  if (error.code !== "failed_precondition") return error;
  return new BangerError("unavailable", `the state cannot be written to ${path}: ${error.message}`, {
    cure: "see that there is room on that file system, then repeat",
    cause: error,
  });
}
