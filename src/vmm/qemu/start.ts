/** Starting QEMU: sockets that listen before it exists, the process, and its readiness raced against its end. */
import { closeSync } from "node:fs";
import { open } from "node:fs/promises";
import { beforeAbort } from "../../lib/before-abort.ts";
import { abortError } from "../../lib/run-program.ts";
import { createUnixListener } from "../../lib/unix-listener.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { endedAtOnce, type HypervisorProcess, spawnHypervisor } from "../hypervisor-process.ts";
import type { StartOptions } from "../port.ts";
import type { SnapshotFiles } from "../snapshot-files.ts";
import { type CommandLineInput, qemuArguments } from "./command-line.ts";
import { goOn } from "./go-on.ts";
import type { QemuAccelerator } from "./platform.ts";
import { connectQmp } from "./qmp.ts";
import type { QemuSockets } from "./running.ts";

/** The first descriptors after stdin, stdout and stderr. */
const QMP_FD = 3;
const AGENT_FD = 4;
const STATE_FD = 5;

export type OpenTap = (netns: string, tap: string) => Promise<number>;

export interface StartInput {
  readonly program: string;
  readonly accelerator: QemuAccelerator;
  readonly sockets: QemuSockets;
  readonly logPath: string;
  /** As `openTap` of lib/tap.ts. */
  readonly openTap: OpenTap;
  /** Goes on from this snapshot, which fits; boots without. */
  readonly snapshot?: SnapshotFiles;
  readonly signal: AbortSignal | undefined;
  readonly spawned?: StartOptions["spawned"];
  /** As in `ResumeOptions`. */
  readonly whole?: Promise<void> | undefined;
  /** As in `ResumeOptions`, with the process that the machine is. */
  readonly reachable?: ((process: HypervisorProcess) => void) | undefined;
}

/**
 * Resolves when QEMU has accepted its whole command line and runs the guest. On failure no process and no socket is
 * left. Errors as `Driver.start`.
 */
export async function startQemu(machine: Machine, input: StartInput): Promise<HypervisorProcess> {
  if (input.signal?.aborted === true) throw abortError(input.signal);
  await using undo = new AsyncDisposableStack();
  const qmp = undo.adopt(createUnixListener(input.sockets.qmp), (listener) => listener.remove());
  const agent = undo.adopt(createUnixListener(input.sockets.agent), (listener) => listener.remove());
  const { snapshot } = input;
  using opened = new DisposableStack();
  const taps: { readonly id: string; readonly fd: number }[] = [];
  for (const { id, tap, netns } of machine.nics) {
    // A tap of another namespace: QEMU gets it open and stays in ours.
    if (netns === undefined) continue;
    taps.push({ id, fd: opened.adopt(await input.openTap(netns, tap), closeSync) });
  }
  // The saved state, where there is one, comes first.
  const firstTapFd = snapshot === undefined ? STATE_FD : STATE_FD + 1;
  const args = qemuArguments(machine, {
    accelerator: input.accelerator,
    qmpFd: QMP_FD,
    agentFd: AGENT_FD,
    ...(snapshot === undefined ? {} : { snapshot: memoryAndState(snapshot, input) }),
    tapFds: new Map(taps.map(({ id }, at) => [id, firstTapFd + at])),
  });
  const process = await withState(snapshot, (stateFds) =>
    spawnHypervisor({
      program: input.program,
      args,
      logPath: input.logPath,
      inherit: [qmp.fd, agent.fd, ...stateFds, ...taps.map(({ fd }) => fd)],
    }),
  );
  undo.defer(() => process.kill({ graceMs: 0 }));
  await input.spawned?.(process.handle);
  // From here on only QEMU listens: when it ends, so do the connections to it.
  qmp[Symbol.dispose]();
  agent[Symbol.dispose]();
  if (input.whole === undefined) input.reachable?.(process);
  await ready(process, input);
  undo.move();
  return process;
}

function memoryAndState(
  { memory }: SnapshotFiles,
  { whole }: StartInput,
): NonNullable<CommandLineInput["snapshot"]> {
  return { memoryPath: memory, stateFd: whole === undefined ? STATE_FD : undefined };
}

/** Holds the snapshot's state open while the process is made, which inherits it. */
async function withState<T>(
  snapshot: SnapshotFiles | undefined,
  work: (fds: readonly number[]) => Promise<T>,
): Promise<T> {
  if (snapshot === undefined) return await work([]);
  await using state = await open(snapshot.state, "r");
  return await work([state.fd]);
}

async function ready(process: HypervisorProcess, input: StartInput): Promise<void> {
  const ended = process.exited.then((exit) => {
    throw endedAtOnce("QEMU", exit);
  });
  // When QEMU dies its sockets close a moment before its exit is known; the exit has the better words.
  const answered = answer(process, input).catch(async (error: unknown) => {
    if (error instanceof BangerError && error.code === "unavailable") await ended;
    throw error;
  });
  await beforeAbort(Promise.race([answered, ended, failureOf(input.whole)]), input.signal);
}

async function answer(process: HypervisorProcess, input: StartInput): Promise<void> {
  const { snapshot, whole, signal, sockets } = input;
  if (snapshot === undefined) return await greet(sockets.qmp);
  const ready = (): void => {
    signal?.throwIfAborted();
    input.reachable?.(process);
  };
  const waits = whole === undefined ? undefined : { whole, snapshot, stateFd: STATE_FD, ready };
  return await goOn({ qmpPath: sockets.qmp, pid: process.handle.pid, waits });
}

/** Rejects when it does, and never resolves. */
async function failureOf(whole: Promise<void> | undefined): Promise<never> {
  await whole;
  return await new Promise(() => undefined);
}

/** QEMU answers the first command only when its machine is complete, though it greets earlier. */
async function greet(path: string): Promise<void> {
  const qmp = await connectQmp(path);
  qmp[Symbol.dispose]();
}
