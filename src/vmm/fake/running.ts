/** A live fake machine behind the port's `Running`. Pausing stops the process, as pausing vCPUs would. */
import { setImmediate } from "node:timers/promises";
import { isAlive, readProcessStat } from "../../lib/process-identity.ts";
import { settlesWithin } from "../../lib/settles-within.ts";
import { BangerError } from "../../model/errors.ts";
import { createChannelOpener } from "../agent-channel.ts";
import type { HypervisorProcess } from "../hypervisor-process.ts";
import type { Running } from "../port.ts";
import { saveFake } from "./snapshot.ts";

const ENDING_MS = 200;

export function createFakeRunning(
  machineId: string,
  parts: { readonly process: HypervisorProcess; readonly channelPath: string; readonly shapePath: string },
): Running {
  const { process, channelPath, shapePath } = parts;
  const { pid } = process.handle;
  return {
    handles: { driver: "fake", machineId, process: process.handle, sockets: { agent: channelPath } },
    poweroff: "acpi",
    channel: createChannelOpener(channelPath),
    async pause() {
      signal("SIGSTOP");
      // The signal has been sent; the process stops when it next runs.
      while (!isStopped(pid) && isAlive(process.handle)) await setImmediate();
    },
    async resume() {
      signal("SIGCONT");
    },
    async snapshot(dir, options = {}) {
      // One that was killed while it was stopped runs once more, to its end.
      if (!isAlive(process.handle) || (!isStopped(pid) && (await settlesWithin(process.exited, ENDING_MS)))) {
        throw ended();
      }
      if (!isStopped(pid))
        throw new BangerError("failed_precondition", "the machine runs; a snapshot needs it paused");
      saveFake(dir, shapePath);
      options.captured?.();
    },
    // A process has no disks of its own: whoever looks at the file sees its size.
    diskGrown: () => Promise.resolve(),
    stats: () => process.stats(),
    kill: (options) => process.kill(options),
    exited: process.exited,
  };

  function signal(name: "SIGSTOP" | "SIGCONT"): void {
    if (!process.signal(name)) throw ended();
  }

  function ended(): BangerError {
    return new BangerError("unavailable", `the hypervisor process ${pid} has ended`);
  }
}

function isStopped(pid: number): boolean {
  return readProcessStat(pid)?.state === "T";
}
