/** Starting Firecracker: the process, the appearance of its API socket raced against its end, the machine, and off it goes. */
import { chmodSync, rmSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { beforeAbort } from "../../lib/before-abort.ts";
import { withDeadline } from "../../lib/deadline.ts";
import { abortError } from "../../lib/run-program.ts";
import { settlesWithin } from "../../lib/settles-within.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { endedAtOnce, type HypervisorProcess, spawnHypervisor } from "../hypervisor-process.ts";
import { watchForName } from "../name-watch.ts";
import type { StartOptions } from "../port.ts";
import { type ApiClient, type ApiRequest, createApiClient } from "./api-client.ts";
import { AGENT_PORT } from "./command-line.ts";
import { explainStart, sizeOf, withLogWords } from "./failure.ts";
import { type Knocks, listenForKnocks } from "./knocks.ts";
import type { Places } from "./places.ts";

/** Without a jail Firecracker listens after some milliseconds; the jailer copies it first. */
const DEFAULT_SOCKET_TIMEOUT_MS = 10_000;
const EXIT_GRACE_MS = 1000;

/** How one process is to be started. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly places: Places;
  /** The user whom the process runs as in a jail; undefined: ours. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

export interface StartInput {
  readonly launch: Launch;
  /** Sent together; all have to succeed before `last` is sent. */
  readonly first: readonly ApiRequest[];
  readonly last: ApiRequest;
  readonly lastTimeoutMs?: number;
  /** Sent together once `last` has succeeded; default: none. */
  readonly after?: readonly ApiRequest[];
  readonly signal: AbortSignal | undefined;
  readonly spawned?: StartOptions["spawned"];
  readonly socketTimeoutMs?: number;
}

export interface Started {
  readonly process: HypervisorProcess;
  readonly api: ApiClient;
  readonly knocks: Knocks;
}

/**
 * Resolves when Firecracker has accepted the last request. On failure no process and no socket is left, and the error has
 * Firecracker's words and the console's last lines. Errors as `Driver.start`, and `timeout` (it did not answer).
 */
export async function startFirecracker(machine: Machine, input: StartInput): Promise<Started> {
  if (input.signal?.aborted === true) throw abortError(input.signal);
  const { places } = input.launch;
  const consoleFrom = await sizeOf(machine.consolePath);
  try {
    return await start(machine, input);
  } catch (error) {
    throw await explainStart(error, { places, consolePath: machine.consolePath, consoleFrom });
  }
}

async function start(machine: Machine, input: StartInput): Promise<Started> {
  const { launch, signal } = input;
  const { places } = launch;
  await using undo = new AsyncDisposableStack();
  for (const socket of [places.api.host, places.agent.host]) {
    rmSync(socket, { force: true });
    undo.defer(() => rmSync(socket, { force: true }));
  }
  const knocks = undo.use(await listenForKnocks(`${places.agent.host}_${AGENT_PORT}`, launch.owner));
  using watch = watchForName(places.api.host);
  const process = withLogWords(
    await spawnHypervisor({
      program: launch.program,
      args: launch.args,
      logPath: places.errorsPath,
      stdoutPath: machine.consolePath,
      cwd: places.stateDir,
      // It opens its taps by name, in the namespace that it runs in.
      netns: netnsOf(machine),
      inherit: [],
    }),
    places,
  );
  undo.defer(() => process.kill({ graceMs: 0 }));
  await input.spawned?.(process.handle);
  const api = undo.use(createApiClient(places.api.host));
  const ended = process.exited.then((exit) => {
    throw endedAtOnce("Firecracker", exit);
  });
  const over = new AbortController();
  undo.defer(() => over.abort());
  const appearance = withDeadline(watch.named, {
    ms: input.socketTimeoutMs ?? DEFAULT_SOCKET_TIMEOUT_MS,
    signal: over.signal,
    what: "the appearance of Firecracker's API socket",
  });
  const conversation = appearance
    .then(() => converse(api, input, over.signal))
    .catch(async (error: unknown) => {
      // When Firecracker dies its socket closes a moment before its end is known; the end has the better words.
      const mayBeDead = error instanceof BangerError && error.code === "unavailable";
      if (mayBeDead && (await settlesWithin(process.exited, EXIT_GRACE_MS))) await ended;
      throw error;
    });
  await beforeAbort(Promise.race([conversation, ended]), signal);
  if (launch.owner === undefined) for (const { host } of [places.api, places.agent]) chmodSync(host, 0o600);
  undo.move();
  return { process, api, knocks };
}

/** One process has one namespace, so all its taps have to be there. */
function netnsOf({ id, nics }: Machine): string | undefined {
  const [first, ...others] = nics;
  if (others.every(({ netns }) => netns === first?.netns)) return first?.netns;
  throw new BangerError("unsupported", `Firecracker cannot give ${id} cards of several network namespaces`, {
    cure: "start it with --vmm qemu",
  });
}

async function converse(api: ApiClient, input: StartInput, over: AbortSignal): Promise<void> {
  await listening(api, over);
  await api.sendAll(input.first);
  await api.send(input.last, input.lastTimeoutMs === undefined ? {} : { timeoutMs: input.lastTimeoutMs });
  await api.sendAll(input.after ?? []);
}

/** Its bind(2), which made the name and so called us, comes some microseconds before its listen(2), which nothing tells of. */
async function listening(api: ApiClient, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    try {
      await api.connect();
      return;
    } catch (error) {
      if (!isRefused(error)) throw error;
      await setImmediate();
    }
  }
}

function isRefused(error: unknown): boolean {
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  return cause?.code === "ECONNREFUSED";
}
