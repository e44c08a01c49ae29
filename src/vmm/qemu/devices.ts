/** The virtio devices of a machine as QEMU arguments. Disks are found by serial in the guest, never by order. */
import type { Disk, Machine, Nic, Rate } from "../../model/machine.ts";
import type { Transport } from "./platform.ts";

/** The name of the agent's virtio-serial port; the guest finds it under /sys/class/virtio-ports. */
export const AGENT_PORT = "banger.agent";

export interface DeviceInput {
  readonly transport: Transport;
  readonly agentFd: number;
  /** The open tap of each card by its id; a card without one is opened by QEMU, by the tap's name. */
  readonly tapFds: ReadonlyMap<string, number>;
}

/** Pairs of an option and its value. */
export function machineDevices(machine: Machine, input: DeviceInput): readonly (readonly string[])[] {
  const { transport } = input;
  return [
    ...machine.disks.flatMap((disk) => diskArguments(disk, transport)),
    ...machine.nics.flatMap((nic) => nicArguments(nic, input)),
    // rng-builtin is getrandom(2) of the host: no descriptor, nothing to run dry.
    ["-object", JSON.stringify({ "qom-type": "rng-builtin", id: "rng" })],
    ["-device", JSON.stringify({ driver: `virtio-rng-${transport}`, rng: "rng" })],
    ["-chardev", `socket,id=agent,fd=${input.agentFd},server=on,wait=off`],
    // Port 0 is for a console (virtio 1.2, section 5.3.5); ours is port 1.
    ["-device", JSON.stringify({ driver: `virtio-serial-${transport}`, id: "serial", max_ports: 2 })],
    [
      "-device",
      JSON.stringify({
        driver: "virtserialport",
        bus: "serial.0",
        nr: 1,
        chardev: "agent",
        name: AGENT_PORT,
      }),
    ],
  ];
}

function diskArguments(disk: Disk, transport: Transport): string[][] {
  // What the device, a resize and a snapshot know the disk by is the same with and without a rate.
  const node = `disk-${disk.id}`;
  const fileNode = disk.rate === undefined ? node : `file-${disk.id}`;
  const blockdev = {
    driver: "file",
    "node-name": fileNode,
    filename: disk.path,
    "read-only": disk.readOnly,
    // Many machines share one root file system; a writable disk is locked against a second hypervisor.
    locking: disk.readOnly ? "off" : "auto",
    aio: "threads",
    // Through the page cache, flushed when the guest flushes: the guest's fsync is an fdatasync here.
    cache: { direct: false, "no-flush": false },
    discard: disk.readOnly ? "ignore" : "unmap",
  };
  const device = { driver: `virtio-blk-${transport}`, drive: node, serial: disk.id };
  return [
    ["-blockdev", JSON.stringify(blockdev)],
    ...(disk.rate === undefined ? [] : throttleArguments(disk, disk.rate, { node, fileNode })),
    ["-device", JSON.stringify(device)],
  ];
}

/** A filter above the file (QEMU's docs/throttle.txt). Its burst is what QEMU allows by itself, a tenth of a second's worth. */
function throttleArguments(
  disk: Disk,
  rate: Rate,
  names: { readonly node: string; readonly fileNode: string },
): string[][] {
  const group = `rate-${disk.id}`;
  const limits = {
    ...(rate.bytesPerSecond === undefined ? {} : { "bps-total": rate.bytesPerSecond }),
    ...(rate.opsPerSecond === undefined ? {} : { "iops-total": rate.opsPerSecond }),
  };
  const filter = {
    driver: "throttle",
    "node-name": names.node,
    "throttle-group": group,
    file: names.fileNode,
    "read-only": disk.readOnly,
    discard: disk.readOnly ? "ignore" : "unmap",
  };
  return [
    ["-object", JSON.stringify({ "qom-type": "throttle-group", id: group, limits })],
    ["-blockdev", JSON.stringify(filter)],
  ];
}

function nicArguments(nic: Nic, { transport, tapFds }: DeviceInput): string[][] {
  const backend = `nic-${nic.id}`;
  const fd = tapFds.get(nic.id);
  const tap = fd === undefined ? `ifname=${nic.tap},script=no,downscript=no` : `fd=${fd}`;
  const device = {
    driver: `virtio-net-${transport}`,
    netdev: backend,
    mac: nic.mac,
    // No network boot.
    ...(transport === "pci" ? { romfile: "" } : {}),
  };
  return [
    ["-netdev", `tap,id=${backend},${tap},vhost=off`],
    ["-device", JSON.stringify(device)],
  ];
}
