/** Starting the process of a fake machine, in the same steps as a hypervisor's. */
import { chmodSync, rmSync } from "node:fs";
import { beforeAbort } from "../../lib/before-abort.ts";
import { findProgram } from "../../lib/run-program.ts";
import { createUnixListener } from "../../lib/unix-listener.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import {
  endedAtOnce,
  type HypervisorProcess,
  type SpawnRequest,
  spawnHypervisor,
} from "../hypervisor-process.ts";
import { processMarker, type StartOptions } from "../port.ts";
import { watchForListener } from "./listener-watch.ts";
import type { FakeProgram } from "./programs.ts";

export interface StartFakeInput {
  readonly program: FakeProgram;
  readonly channelPath: string;
  readonly logPath: string;
  readonly resumed: boolean;
  /** The program is known to end; its end is waited for. */
  readonly endsAtOnce: boolean;
  readonly signal: AbortSignal | undefined;
  readonly spawned?: StartOptions["spawned"];
}

/** Resolves when the channel accepts connections. On failure no process and no socket is left. */
export async function startFake(machine: Machine, input: StartFakeInput): Promise<HypervisorProcess> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(input.channelPath, { force: true }));
  const [program, ...args] = input.program.argv(machine, {
    socketPath: input.channelPath,
    resumed: input.resumed,
  });
  const request: SpawnRequest = {
    program: installed(program),
    args,
    argv0: processMarker(machine.id),
    logPath: input.logPath,
    inherit: [],
  };
  const { process, listening } = await spawnListening(request, input, undo);
  undo.defer(() => process.kill({ graceMs: 0 }));
  await input.spawned?.(process.handle);
  await ready(process, listening, input);
  chmodSync(input.channelPath, 0o600);
  undo.move();
  return process;
}

interface Spawned {
  readonly process: HypervisorProcess;
  readonly listening: Promise<void>;
}

async function spawnListening(
  request: SpawnRequest,
  { program, channelPath }: StartFakeInput,
  undo: AsyncDisposableStack,
): Promise<Spawned> {
  if (program.listens === "inherited") {
    using listener = createUnixListener(channelPath);
    const process = await spawnHypervisor({ ...request, inherit: [listener.fd] });
    return { process, listening: Promise.resolve() };
  }
  rmSync(channelPath, { force: true });
  const watch = undo.use(watchForListener(channelPath));
  const process = await spawnHypervisor(request);
  return { process, listening: watch.listening.finally(() => watch[Symbol.dispose]()) };
}

async function ready(
  process: HypervisorProcess,
  listening: Promise<void>,
  { endsAtOnce, signal }: StartFakeInput,
): Promise<void> {
  const ended = process.exited.then((exit) => {
    throw endedAtOnce("the fake hypervisor", exit);
  });
  await beforeAbort(Promise.race([ended, ...(endsAtOnce ? [] : [listening])]), signal);
}

function installed(program: string): string {
  const path = findProgram(program);
  if (path !== undefined) return path;
  throw new BangerError("unavailable", `the program ${program} is not installed`);
}
