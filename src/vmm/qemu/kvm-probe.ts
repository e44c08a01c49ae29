/** Runs the probe guest under QEMU: the only way to know what an accelerator can do here. */
import { lastLines } from "../../lib/file-tail.ts";
import { openMemoryFile } from "../../lib/memory-file.ts";
import { type ProgramEnd, startProgram } from "../../lib/run-program.ts";
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
  // Nothing is left of it, however this process ends.
  await using firmware = await openMemoryFile("banger-probe");
  await firmware.writeFile(options.firmware ?? createProbeFirmware());
  return await run(firmware.fd, options);
}

async function run(firmware: number, options: ProbeOptions): Promise<KvmTrial> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(deadlinePassed()), options.deadlineMs ?? DEADLINE_MS);
  let stderr = "";
  try {
    const program = startProgram([options.program, ...probeArguments(options.accelerator)], {
      aptPackage: "qemu-system-x86",
      signal: ending.signal,
      graceMs: 100,
      stdin: firmware,
      stdout: "ignore",
      failure: (end) => ended(end),
      onStderrLine(line) {
        stderr += stderr === "" ? line : `\n${line}`;
        // QEMU then stops the guest and waits for a debugger; there is nothing more to come.
        if (line.startsWith("KVM internal error")) ending.abort(new BangerError("internal", line));
      },
    });
    await program.done;
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

/** The firmware is on stdin. */
function probeArguments(accelerator: QemuAccelerator): readonly string[] {
  const { accel, cpu } = PLATFORMS[accelerator];
  return [
    ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ["-machine", "microvm,x-option-roms=off", "-accel", accel, "-cpu", cpu, "-m", "16M"],
    ["-bios", "/proc/self/fd/0", "-device", `isa-debug-exit,iobase=${PROBE_EXIT_PORT},iosize=1`],
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
