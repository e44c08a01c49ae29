/** Runs the probe guest under QEMU: the only way to know what an accelerator can do here. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastLines } from "../../lib/file-tail.ts";
import { type ProgramEnd, runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { KvmTrial } from "../kvm-verdict.ts";
import { PLATFORMS, type QemuAccelerator } from "./platform.ts";
import {
  createProbeFirmware,
  PROBE_BROKEN_STATUS,
  PROBE_EXIT_PORT,
  PROBE_WORKS_STATUS,
} from "./probe-guest.ts";

const DEADLINE_MS = 1000;
const MAX_WORDS = 300;

export interface ProbeOptions {
  /** The QEMU program. */
  readonly program: string;
  readonly accelerator: QemuAccelerator;
  /** Default: the probe guest. */
  readonly firmware?: Uint8Array;
  readonly deadlineMs?: number;
}

/** Runs the guest to its end or the deadline. Errors: `unavailable` (QEMU is not installed). */
export async function runProbeGuest(options: ProbeOptions): Promise<KvmTrial> {
  const directory = await mkdtemp(join(tmpdir(), "banger-probe-"));
  try {
    const firmware = join(directory, "probe.rom");
    await writeFile(firmware, options.firmware ?? createProbeFirmware());
    return await run(firmware, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function run(firmware: string, options: ProbeOptions): Promise<KvmTrial> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(deadlinePassed()), options.deadlineMs ?? DEADLINE_MS);
  let stderr = "";
  try {
    await runProgram([options.program, ...probeArguments(firmware, options.accelerator)], {
      aptPackage: "qemu-system-x86",
      signal: ending.signal,
      graceMs: 100,
      stdout: "ignore",
      failure: (end) => ended(end),
      onStderrLine(line) {
        stderr += stderr === "" ? line : `\n${line}`;
        // QEMU then stops the guest and waits for a debugger; there is nothing more to come.
        if (line.startsWith("KVM internal error")) ending.abort(new BangerError("internal", line));
      },
    });
    // Exit status 0 is a guest that was reset, by a triple fault.
    return { works: false, timedOut: false, words: words("the guest crashed", stderr) };
  } catch (error) {
    const failure = BangerError.from(error);
    if (failure.details["exitStatus"] === PROBE_WORKS_STATUS) return { works: true };
    if (failure.code === "unavailable") throw failure;
    return { works: false, timedOut: failure.code === "timeout", words: words(failure.message, stderr) };
  } finally {
    clearTimeout(timer);
  }
}

function probeArguments(firmware: string, accelerator: QemuAccelerator): readonly string[] {
  const { accel, cpu } = PLATFORMS[accelerator];
  return [
    ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ["-machine", "microvm,x-option-roms=off", "-accel", accel, "-cpu", cpu, "-m", "16M"],
    ["-bios", firmware, "-device", `isa-debug-exit,iobase=${PROBE_EXIT_PORT},iosize=1`],
  ].flat();
}

function ended(end: ProgramEnd): BangerError {
  const how =
    end.exitCode === PROBE_BROKEN_STATUS
      ? "the guest saw wrong results"
      : `QEMU ended with ${end.signal ?? `status ${end.exitCode}`}`;
  return new BangerError("internal", how, { details: { exitStatus: end.exitCode } });
}

function deadlinePassed(): BangerError {
  return new BangerError("timeout", "the guest did not finish in time");
}

/** What happened and QEMU's first words, without its register dumps. */
function words(what: string, stderr: string): string {
  const [first] = lastLines(stderr, Number.MAX_SAFE_INTEGER).map((line) => line.replace(/^qemu[^:]*: /, ""));
  return (first === undefined || first === what ? what : `${what}: ${first}`).slice(0, MAX_WORDS);
}
