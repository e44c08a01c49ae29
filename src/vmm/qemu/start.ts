/** Starting QEMU: sockets that listen before it exists, the process, and its readiness raced against its end. */
import { abortError } from "../../lib/run-program.ts";
import { createUnixListener } from "../../lib/unix-listener.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { type HypervisorProcess, spawnHypervisor } from "../hypervisor-process.ts";
import type { ProcessExit } from "../port.ts";
import { qemuArguments } from "./command-line.ts";
import type { QemuAccelerator } from "./platform.ts";
import { connectQmp } from "./qmp.ts";
import type { QemuSockets } from "./running.ts";

/** The first descriptors after stdin, stdout and stderr. */
const QMP_FD = 3;
const AGENT_FD = 4;

export interface StartInput {
  readonly program: string;
  readonly accelerator: QemuAccelerator;
  readonly sockets: QemuSockets;
  readonly logPath: string;
  readonly signal: AbortSignal | undefined;
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
  const args = qemuArguments(machine, {
    accelerator: input.accelerator,
    qmpFd: QMP_FD,
    agentFd: AGENT_FD,
  });
  const process = await spawnHypervisor({
    program: input.program,
    args,
    logPath: input.logPath,
    inherit: [qmp.fd, agent.fd],
  });
  undo.defer(() => process.kill({ graceMs: 0 }));
  // From here on only QEMU listens: when it ends, so do the connections to it.
  qmp[Symbol.dispose]();
  agent[Symbol.dispose]();
  await ready(process, input);
  undo.move();
  return process;
}

async function ready(process: HypervisorProcess, input: StartInput): Promise<void> {
  const { signal } = input;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => {
    if (signal !== undefined) aborted.reject(abortError(signal));
  };
  signal?.addEventListener("abort", abort, { once: true });
  const ended = process.exited.then((exit) => {
    throw endedAtOnce(exit);
  });
  try {
    if (signal?.aborted === true) abort();
    // When QEMU dies its sockets close a moment before its exit is known; the exit has the better words.
    const answered = greet(input.sockets.qmp).catch(async (error: unknown) => {
      if (error instanceof BangerError && error.code === "unavailable") await ended;
      throw error;
    });
    await Promise.race([answered, ended, aborted.promise]);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** QEMU answers the first command only when its machine is complete, though it greets earlier. */
async function greet(path: string): Promise<void> {
  const qmp = await connectQmp(path);
  qmp[Symbol.dispose]();
}

function endedAtOnce(exit: ProcessExit): BangerError {
  const how = exit.signal ?? `status ${exit.code}`;
  const words = exit.stderrTail === "" ? "" : `: ${exit.stderrTail}`;
  return new BangerError("unavailable", `QEMU ended at once (${how})${words}`, { details: { ...exit } });
}
