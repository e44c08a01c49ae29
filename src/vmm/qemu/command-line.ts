/**
 * QEMU's argument list for a machine: a pure function. JSON forms are used wherever QEMU takes them, because a comma in
 * a path means something in the others (QEMU's docs/system/invocation).
 */
import type { Machine } from "../../model/machine.ts";
import { processMarker } from "../port.ts";
import { AGENT_PORT, machineDevices } from "./devices.ts";
import { PLATFORMS, type Platform, type QemuAccelerator } from "./platform.ts";

export interface CommandLineInput {
  readonly accelerator: QemuAccelerator;
  /** Descriptors in the hypervisor of the listening sockets. */
  readonly qmpFd: number;
  readonly agentFd: number;
  /** What the machine goes on from; it boots without. */
  readonly snapshot?: {
    readonly memoryPath: string;
    /** Undefined: QEMU is told later where the state is, and waits. */
    readonly stateFd: number | undefined;
  };
  /** See `DeviceInput`. */
  readonly tapFds?: ReadonlyMap<string, number>;
}

/** A snapshot's state has no description of itself, and none is missed. */
export const SUPPRESS_VMDESC = ",suppress-vmdesc=on";

/** The arguments after the program's name. The machine has been validated. */
export function qemuArguments(machine: Machine, input: CommandLineInput): readonly string[] {
  const { snapshot } = input;
  const platform = PLATFORMS[input.accelerator];
  const suppress = snapshot === undefined ? "" : SUPPRESS_VMDESC;
  return [
    ["-name", processMarker(machine.id)],
    ["-nodefaults"],
    ["-no-user-config"],
    ["-display", "none"],
    // A guest that resets ends the process: panic=-1 and reboot=t turn every crash of its kernel into that.
    ["-no-reboot"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ["-machine", `${platform.machine},memory-backend=ram${suppress}`],
    ["-accel", platform.accel],
    ["-cpu", platform.cpu],
    ["-smp", `cpus=${machine.vcpus},sockets=1,cores=${machine.vcpus},threads=1`],
    ["-m", `${machine.memoryMib}M`],
    ["-object", memoryBackend(machine, snapshot?.memoryPath)],
    ...(snapshot === undefined ? bootArguments(machine, platform) : resumeArguments(snapshot.stateFd)),
    ["-chardev", `socket,id=qmp,fd=${input.qmpFd},server=on,wait=off`],
    ["-mon", "chardev=qmp,mode=control"],
    ["-chardev", `file,id=console,path=${escapeCommas(machine.consolePath)},append=on`],
    ["-serial", "chardev:console"],
    ...machineDevices(machine, {
      transport: platform.transport,
      agentFd: input.agentFd,
      tapFds: input.tapFds ?? new Map(),
    }),
  ].flat();
}

function bootArguments(machine: Machine, platform: Platform): string[][] {
  return [
    ["-kernel", machine.kernelPath],
    ["-initrd", machine.initramfsPath],
    ["-append", kernelCommandLine(machine, platform)],
  ];
}

/** The kernel is in memory already. QEMU reads the state as soon as its machine is complete, or when it is told to, and runs it. */
function resumeArguments(stateFd: number | undefined): string[][] {
  return [
    // The state does not begin with the name of the machine type.
    ["-global", "migration.send-configuration=off"],
    ["-incoming", stateFd === undefined ? "defer" : `fd:${stateFd}`],
  ];
}

/** A private mapping: pages of the file are shared by all its machines until one writes to its own copy. */
function memoryBackend(machine: Machine, memoryPath: string | undefined): string {
  const common = { id: "ram", size: machine.memoryMib * 1024 * 1024 };
  if (memoryPath === undefined) return json({ "qom-type": "memory-backend-ram", ...common });
  return json({ "qom-type": "memory-backend-file", ...common, "mem-path": memoryPath, share: false });
}

function kernelCommandLine(machine: Machine, platform: Platform): string {
  const ours = ["console=ttyS0", "reboot=t", "panic=-1", `banger.channel=virtio:${AGENT_PORT}`];
  return [...ours, ...platform.kernelParameters, ...machine.cmdline].join(" ");
}

function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}

function json(value: object): string {
  return JSON.stringify(value);
}
