/**
 * Stands in for Firecracker: programs `firecracker` and `jailer` that take the command lines, speak the HTTP and keep the
 * rules of the real ones (1.17), simulate a guest, and fail where a test wants them to.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identifyProcess } from "../../../src/lib/process-identity.ts";
import { watchProcess } from "../../../src/lib/process-watch.ts";
import type {
  FaultRule,
  GuestKind,
  RequestEvent,
  StartFault,
  StubPlan,
  StubRecord,
  VsockFault,
} from "./plan.ts";
import { readRecords } from "./record.ts";

export interface StubOptions {
  /** Default 1.17.0. */
  readonly version?: string;
  /** Default `echo`. */
  readonly guest?: GuestKind;
  /** The agent's binary, absolute; needed for the guest `agent`. */
  readonly agentPath?: string;
  /** The only vsock port on which the guest listens; any when left out. */
  readonly port?: number;
  /** The guest connects to the host's `port`, which must be given, as soon as it listens there. */
  readonly knocks?: boolean;
  readonly start?: StartFault;
  readonly faults?: readonly FaultRule[];
  readonly vsock?: VsockFault;
}

export interface FirecrackerStub extends AsyncDisposable {
  /** Executables, absolute, named as the real ones; any number of processes may run. */
  readonly bin: string;
  readonly jailerBin: string;
  /** A short directory of the stub's own, gone after disposal. */
  readonly dir: string;
  /** Everything that its processes did so far, in order. */
  records(): StubRecord[];
  requests(): (RequestEvent & { readonly atMs: number; readonly pid: number })[];
  /** The rules that were broken so far. */
  violations(): string[];
  /** Says that the test breaks rules on purpose: disposal does not throw for them. */
  expectViolations(): string[];
  /** Throws when a rule was broken, or when a process of it was still alive (which it then is not). */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The caller disposes it, after its processes. */
export function createFirecrackerStub(options: StubOptions = {}): FirecrackerStub {
  const dir = mkdtempSync(join(tmpdir(), "fc-"));
  const recordPath = join(dir, "record.jsonl");
  const planPath = join(dir, "plan.json");
  const { version = "1.17.0", guest = "echo", faults = [], ...rest } = options;
  const plan: StubPlan = { version, guest, faults, recordPath, dir, ...rest };
  writeFileSync(planPath, JSON.stringify(plan));
  const bun = quote(process.execPath);
  const at = (file: string): string => quote(join(import.meta.dir, file));
  const bin = executable(join(dir, "firecracker"), `exec ${bun} ${at("main.ts")} ${quote(planPath)} '' "$@"`);
  const jailerBin = executable(join(dir, "jailer"), `exec ${bun} ${at("jailer.ts")} ${quote(planPath)} "$@"`);
  const records = (): StubRecord[] => readRecords(recordPath);
  const violations = (): string[] =>
    records().flatMap((record) => (record.kind === "violation" ? [record.message] : []));
  let expected = false;
  return {
    bin,
    jailerBin,
    dir,
    records,
    requests: () => records().filter((record) => record.kind === "request"),
    violations,
    expectViolations() {
      expected = true;
      return violations();
    },
    async [Symbol.asyncDispose]() {
      const alive = await killRemaining(records(), planPath);
      const broken = expected ? [] : violations();
      rmSync(dir, { recursive: true, force: true });
      if (alive.length > 0) throw new Error(`stub processes were left running: ${alive.join(", ")}`);
      if (broken.length > 0) throw new Error(`Firecracker's rules were broken:\n${broken.join("\n")}`);
    },
  };
}

/** Ends what still runs of the stub, and says which processes that were. */
async function killRemaining(records: readonly StubRecord[], planPath: string): Promise<number[]> {
  const killed: number[] = [];
  for (const pid of new Set(records.flatMap((record) => (record.kind === "start" ? [record.pid] : [])))) {
    const handle = identifyProcess(pid);
    if (handle === undefined || !commandLine(pid).includes(planPath)) continue;
    const watch = await watchProcess(handle);
    if (watch === undefined) continue;
    watch.signal("SIGKILL");
    await watch.ended;
    killed.push(pid);
  }
  return killed;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended meanwhile: it is nobody's.
    return "";
  }
}

function executable(path: string, script: string): string {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
