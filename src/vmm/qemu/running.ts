/** A live QEMU process behind the port's `Running`. */
import { createChannelOpener } from "../agent-channel.ts";
import type { HypervisorProcess } from "../hypervisor-process.ts";
import type { DriverHandles, Running } from "../port.ts";
import { connectQmp } from "./qmp.ts";
import { saveQemu } from "./save.ts";

export interface QemuSockets {
  readonly qmp: string;
  readonly agent: string;
}

/** `process` is the QEMU of `machineId`, listening on `sockets`. */
export function createQemuRunning(
  machineId: string,
  parts: { readonly process: HypervisorProcess; readonly sockets: QemuSockets },
): Running {
  const { process, sockets } = parts;
  const handles: DriverHandles = {
    driver: "qemu",
    machineId,
    process: process.handle,
    sockets: { ...sockets },
  };
  return {
    handles,
    poweroff: "acpi",
    channel: createChannelOpener(sockets.agent),
    pause: () => command("stop"),
    resume: () => command("cont"),
    async snapshot(dir, options = {}) {
      const connect = (): ReturnType<typeof connectQmp> => connectQmp(sockets.qmp);
      await saveQemu(dir, { connect, pid: process.handle.pid, captured: options.captured });
    },
    diskGrown: (id, sizeBytes) => command("block_resize", { "node-name": `disk-${id}`, size: sizeBytes }),
    stats: () => process.stats(),
    kill: (options) => process.kill(options),
    exited: process.exited,
  };

  async function command(name: string, args?: Readonly<Record<string, unknown>>): Promise<void> {
    using qmp = await connectQmp(sockets.qmp);
    await qmp.execute(name, args);
  }
}
