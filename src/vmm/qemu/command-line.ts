/**
 * QEMU's argument list for a machine: a pure function. JSON forms are used wherever QEMU takes them, because a comma in
 * a path means something in the others (QEMU's docs/system/invocation).
 */
import type { Machine } from "../../model/machine.ts";
import { processMarker } from "../port.ts";
import { AGENT_PORT, machineDevices } from "./devices.ts";
import { PLATFORMS, type QemuAccelerator } from "./platform.ts";

export interface CommandLineInput {
  readonly accelerator: QemuAccelerator;
  /** Descriptors in the hypervisor of the listening sockets. */
  readonly qmpFd: number;
  readonly agentFd: number;
}

/** The arguments after the program's name. The machine has been validated. */
export function qemuArguments(machine: Machine, input: CommandLineInput): readonly string[] {
  const platform = PLATFORMS[input.accelerator];
  return [
    ["-name", processMarker(machine.id)],
    ["-nodefaults"],
    ["-no-user-config"],
    ["-display", "none"],
    // A guest that resets ends the process: panic=-1 and reboot=t turn every crash of its kernel into that.
    ["-no-reboot"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ["-machine", `${platform.machine},memory-backend=ram`],
    ["-accel", platform.accel],
    ["-cpu", platform.cpu],
    ["-smp", `cpus=${machine.vcpus},sockets=1,cores=${machine.vcpus},threads=1`],
    ["-m", `${machine.memoryMib}M`],
    ["-object", json({ "qom-type": "memory-backend-ram", id: "ram", size: machine.memoryMib * 1024 * 1024 })],
    ["-kernel", machine.kernelPath],
    ["-initrd", machine.initramfsPath],
    ["-append", kernelCommandLine(machine)],
    ["-chardev", `socket,id=qmp,fd=${input.qmpFd},server=on,wait=off`],
    ["-mon", "chardev=qmp,mode=control"],
    ["-chardev", `file,id=console,path=${escapeCommas(machine.consolePath)},append=on`],
    ["-serial", "chardev:console"],
    ...machineDevices(machine, { transport: platform.transport, agentFd: input.agentFd }),
  ].flat();
}

function kernelCommandLine(machine: Machine): string {
  const ours = ["console=ttyS0", "reboot=t", "panic=-1", `banger.channel=virtio:${AGENT_PORT}`];
  return [...ours, ...machine.cmdline].join(" ");
}

function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}

function json(value: object): string {
  return JSON.stringify(value);
}
