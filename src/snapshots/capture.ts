/** Capturing a guest: memory, devices and disk of one instant, while it stands still for as short as can be. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "../guest/agent.ts";
import { copySparse } from "../lib/sparse-copy.ts";
import { BangerError } from "../model/errors.ts";
import type { Running } from "../vmm/port.ts";
import { DISK, MACHINE } from "./saved-files.ts";

/** Longer than any capture; a guest whose host forgot it goes on by itself then. */
const FREEZE_MS = 20_000;

export interface CaptureInput {
  readonly running: Running;
  /** Undefined for a guest that stands still already, which is left so. */
  readonly agent: Agent | undefined;
  readonly diskPath: string;
  /** The guest goes on afterwards; without, it is about to be ended. */
  readonly goesOn: boolean;
  readonly onStep: (step: string) => void;
  /** Called once the disk is there and of the machine what `Running.snapshot` promises by then. */
  readonly captured?: (() => void) | undefined;
}

/**
 * Writes `machine/` and the disk into `dir`, which exists; nothing is flushed. Returns for how long the guest stood still. Whatever
 * fails, the guest goes on, when it was to. Errors: those of `Running.snapshot`, of the agent, and of the file system.
 */
export async function captureGuest(input: CaptureInput, dir: string): Promise<number> {
  const { running, agent, diskPath, onStep } = input;
  const machineDir = join(dir, MACHINE);
  await mkdir(machineDir, { mode: 0o700 });
  await using undo = new AsyncDisposableStack();
  if (agent !== undefined) {
    onStep("freeze");
    // What runs in the guest goes on in a clone only after it is somebody else.
    await agent.freeze({ fileSystems: false, commands: true, timeoutMs: FREEZE_MS });
    if (input.goesOn) undo.defer(() => thaw(agent));
    onStep("pause");
    await running.pause();
  }
  onStep("capture");
  const from = performance.now();
  const captured = Promise.withResolvers<void>();
  const writing = running.snapshot(machineDir, { captured: captured.resolve });
  const disk = copySparse(diskPath, join(dir, DISK));
  let pauseMs = 0;
  try {
    try {
      await Promise.all([Promise.race([captured.promise, writing]), disk]);
      input.captured?.();
    } finally {
      if (agent !== undefined && input.goesOn) await running.resume();
      pauseMs = performance.now() - from;
    }
    await undo[Symbol.asyncDispose]();
    onStep("write");
    await writing;
  } finally {
    // Nobody may take the directory away while it is written, also when the machine has died.
    await Promise.allSettled([writing, disk]);
  }
  return pauseMs;
}

/** The disk alone: everything that was written is in it, and nothing is half written. */
export async function captureDisk(agent: Agent | undefined, diskPath: string, dir: string): Promise<number> {
  if (agent === undefined) {
    await copySparse(diskPath, join(dir, DISK));
    return 0;
  }
  await agent.freeze({ fileSystems: true, commands: false, timeoutMs: FREEZE_MS });
  const from = performance.now();
  try {
    await copySparse(diskPath, join(dir, DISK));
  } catch (error) {
    await agent.thaw().catch(() => undefined);
    throw error;
  }
  // It says when it has thawed by itself: then the copy is of no one moment.
  await agent.thaw();
  return performance.now() - from;
}

async function thaw(agent: Agent): Promise<void> {
  try {
    await agent.thaw();
  } catch (error) {
    // It has gone on by itself: what was captured was captured before.
    if (BangerError.from(error).code !== "failed_precondition") throw error;
  }
}
