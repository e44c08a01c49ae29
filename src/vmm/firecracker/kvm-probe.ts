/** Runs the probe guest under Firecracker: the only way to know whether KVM can run guests here. */
import { mkdtemp, open, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastLines } from "../../lib/file-tail.ts";
import { removeTree } from "../../lib/remove-tree.ts";
import { type ProgramEnd, runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { KvmTrial } from "../kvm-verdict.ts";
import { createProbeKernel, PROBE_WORDS } from "./probe-guest.ts";

const DEADLINE_MS = 1000;
const MAX_WORDS = 300;

export interface ProbeOptions {
  /** The Firecracker program, absolute. */
  readonly program: string;
  /** Default: the probe guest. */
  readonly kernel?: Uint8Array;
  readonly deadlineMs?: number;
}

/** Runs the guest to its end or the deadline. Errors: `unavailable` (the program cannot be started). */
export async function runProbeGuest(options: ProbeOptions): Promise<KvmTrial> {
  const directory = await mkdtemp(join(tmpdir(), "banger-probe-"));
  try {
    const kernel = join(directory, "vmlinux");
    const config = join(directory, "config.json");
    await writeFile(kernel, options.kernel ?? createProbeKernel());
    await writeFile(config, JSON.stringify(configuration(kernel)));
    return await run({ ...options, config, output: join(directory, "output") });
  } finally {
    await removeTree(directory);
  }
}

function configuration(kernel: string): object {
  return {
    "boot-source": { kernel_image_path: kernel },
    "machine-config": { vcpu_count: 1, mem_size_mib: 16 },
    drives: [],
  };
}

async function run(options: ProbeOptions & { config: string; output: string }): Promise<KvmTrial> {
  const { program, config, output } = options;
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(new BangerError("timeout", "the test guest did not finish in time"));
  }, options.deadlineMs ?? DEADLINE_MS);
  await using stdout = await open(output, "wx", 0o600);
  const trial = async (timedOut: boolean, otherwise: string): Promise<KvmTrial> => {
    const said = await readFile(output, "utf8");
    if (said.includes(PROBE_WORDS)) return { works: true };
    return { works: false, timedOut, words: words(said, otherwise) };
  };
  try {
    const args = ["--no-api", "--id", "banger-probe", "--config-file", config, "--level", "Error"];
    await runProgram([program, ...args], {
      signal: deadline.signal,
      graceMs: 100,
      stdout: stdout.fd,
      failure: (end) => ended(end),
    });
    return await trial(false, "the guest ended and said nothing");
  } catch (error) {
    const failure = BangerError.from(error);
    if (failure.code === "unavailable") throw failure;
    return await trial(failure.code === "timeout", failure.message);
  } finally {
    clearTimeout(timer);
  }
}

function ended(end: ProgramEnd): BangerError {
  const how = end.signal ?? `status ${end.exitCode}`;
  return new BangerError(
    "failed_precondition",
    `Firecracker ended with ${how}${end.stderrTail === "" ? "" : `: ${end.stderrTail}`}`,
  );
}

function words(said: string, otherwise: string): string {
  return [otherwise, ...lastLines(said, 3)].join("; ").slice(0, MAX_WORDS);
}
