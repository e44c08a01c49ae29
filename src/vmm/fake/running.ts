/** A live fake machine behind the port's `Running`. Pausing stops the process, as pausing vCPUs would. */
import { BangerError } from "../../model/errors.ts";
import { createChannelOpener } from "../agent-channel.ts";
import type { HypervisorProcess } from "../hypervisor-process.ts";
import type { Running } from "../port.ts";

export function createFakeRunning(
  machineId: string,
  parts: { readonly process: HypervisorProcess; readonly channelPath: string },
): Running {
  const { process, channelPath } = parts;
  return {
    handles: { driver: "fake", machineId, process: process.handle, sockets: { agent: channelPath } },
    poweroff: "acpi",
    channel: createChannelOpener(channelPath),
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    snapshot: () => Promise.reject(new BangerError("unsupported", "fake machines cannot be snapshotted")),
    // A process has no disks of its own: whoever looks at the file sees its size.
    diskGrown: () => Promise.resolve(),
    stats: () => process.stats(),
    kill: (options) => process.kill(options),
    exited: process.exited,
  };

  async function signal(name: "SIGSTOP" | "SIGCONT"): Promise<void> {
    if (process.signal(name)) return;
    throw new BangerError("unavailable", `the hypervisor process ${process.handle.pid} has ended`);
  }
}
