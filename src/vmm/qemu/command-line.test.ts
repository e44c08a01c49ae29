import { describe, expect, test } from "bun:test";
import type { Machine } from "../../model/machine.ts";
import { qemuArguments } from "./command-line.ts";

const machine: Machine = {
  id: "a1b2c3",
  vcpus: 2,
  memoryMib: 512,
  kernelPath: "/k/vmlinux",
  initramfsPath: "/k/initramfs",
  cmdline: ["quiet"],
  disks: [
    { id: "rootfs", path: "/images/root.squashfs", readOnly: true },
    { id: "disk", path: "/vms/a,b/disk.ext4", readOnly: false },
  ],
  nics: [{ id: "net0", mac: "52:54:00:ac:10:00", tap: "bgr0" }],
  consolePath: "/vms/a,b/console.log",
};
const descriptors = { qmpFd: 3, agentFd: 4 };

const common = (transport: string, kernelParameters: string): readonly string[] => [
  "-smp",
  "cpus=2,sockets=1,cores=2,threads=1",
  "-m",
  "512M",
  "-object",
  '{"qom-type":"memory-backend-ram","id":"ram","size":536870912}',
  "-kernel",
  "/k/vmlinux",
  "-initrd",
  "/k/initramfs",
  "-append",
  `console=ttyS0 reboot=t panic=-1 banger.channel=virtio:banger.agent ${kernelParameters}quiet`,
  "-chardev",
  "socket,id=qmp,fd=3,server=on,wait=off",
  "-mon",
  "chardev=qmp,mode=control",
  "-chardev",
  "file,id=console,path=/vms/a,,b/console.log,append=on",
  "-serial",
  "chardev:console",
  "-blockdev",
  '{"driver":"file","node-name":"disk-rootfs","filename":"/images/root.squashfs","read-only":true,"locking":"off","aio":"threads","cache":{"direct":false,"no-flush":false},"discard":"ignore"}',
  "-device",
  `{"driver":"virtio-blk-${transport}","drive":"disk-rootfs","serial":"rootfs"}`,
  "-blockdev",
  '{"driver":"file","node-name":"disk-disk","filename":"/vms/a,b/disk.ext4","read-only":false,"locking":"auto","aio":"threads","cache":{"direct":false,"no-flush":false},"discard":"unmap"}',
  "-device",
  `{"driver":"virtio-blk-${transport}","drive":"disk-disk","serial":"disk"}`,
  "-netdev",
  "tap,id=nic-net0,ifname=bgr0,script=no,downscript=no,vhost=off",
  "-device",
  transport === "pci"
    ? '{"driver":"virtio-net-pci","netdev":"nic-net0","mac":"52:54:00:ac:10:00","romfile":""}'
    : '{"driver":"virtio-net-device","netdev":"nic-net0","mac":"52:54:00:ac:10:00"}',
  "-object",
  '{"qom-type":"rng-builtin","id":"rng"}',
  "-device",
  `{"driver":"virtio-rng-${transport}","rng":"rng"}`,
  "-chardev",
  "socket,id=agent,fd=4,server=on,wait=off",
  "-device",
  `{"driver":"virtio-serial-${transport}","id":"serial","max_ports":2}`,
  "-device",
  '{"driver":"virtserialport","bus":"serial.0","nr":1,"chardev":"agent","name":"banger.agent"}',
];

const start: readonly string[] = [
  "-name",
  "banger-a1b2c3",
  "-nodefaults",
  "-no-user-config",
  "-display",
  "none",
  "-no-reboot",
  "-sandbox",
  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

describe("qemuArguments()", () => {
  test("describes a microvm with virtio-mmio devices for KVM", () => {
    expect(qemuArguments(machine, { accelerator: "kvm", ...descriptors })).toEqual([
      ...start,
      "-machine",
      "microvm,acpi=on,pcie=off,pit=on,pic=on,rtc=on,isa-serial=on,x-option-roms=off,auto-kernel-cmdline=off,memory-backend=ram",
      "-accel",
      "kvm",
      "-cpu",
      "host",
      ...common("device", ""),
    ]);
  });

  test("describes a q35 with PCI devices for emulation", () => {
    expect(qemuArguments(machine, { accelerator: "tcg", ...descriptors })).toEqual([
      ...start,
      "-machine",
      "q35,sata=off,smbus=off,usb=off,vmport=off,i8042=off,graphics=off,memory-backend=ram",
      "-accel",
      "tcg,thread=multi",
      "-cpu",
      "max,erms=off,fsrm=off",
      ...common("pci", "no_timer_check tsc=unstable "),
    ]);
  });

  test("puts a disk with a rate below a filter of the name that the device knows", () => {
    const disk = {
      id: "disk",
      path: "/d",
      readOnly: true,
      rate: { bytesPerSecond: 2 ** 20, opsPerSecond: 100 },
    };
    const limited = { ...machine, disks: [disk] };
    const args = qemuArguments(limited, { accelerator: "tcg", ...descriptors });
    const at = args.indexOf("-blockdev");
    expect(args.slice(at, at + 8)).toEqual([
      "-blockdev",
      '{"driver":"file","node-name":"file-disk","filename":"/d","read-only":true,"locking":"off","aio":"threads","cache":{"direct":false,"no-flush":false},"discard":"ignore"}',
      "-object",
      '{"qom-type":"throttle-group","id":"rate-disk","limits":{"bps-total":1048576,"iops-total":100}}',
      "-blockdev",
      '{"driver":"throttle","node-name":"disk-disk","throttle-group":"rate-disk","file":"file-disk","read-only":true,"discard":"ignore"}',
      "-device",
      '{"driver":"virtio-blk-pci","drive":"disk-disk","serial":"disk"}',
    ]);
  });

  test("goes on from a snapshot with the same devices, its memory mapped privately and nothing to boot", () => {
    const booting = qemuArguments(machine, { accelerator: "tcg", ...descriptors });
    const snapshot = { memoryPath: "/snapshots/a,b/memory", stateFd: 5 };
    const resuming = qemuArguments(machine, { accelerator: "tcg", ...descriptors, snapshot });
    const before = booting.indexOf("-object");
    const after = booting.indexOf("-chardev");
    expect(resuming).toEqual([
      ...booting
        .slice(0, before)
        .map((word) => (word.startsWith("q35") ? `${word},suppress-vmdesc=on` : word)),
      "-object",
      '{"qom-type":"memory-backend-file","id":"ram","size":536870912,"mem-path":"/snapshots/a,b/memory","share":false}',
      "-global",
      "migration.send-configuration=off",
      "-incoming",
      "fd:5",
      ...booting.slice(after),
    ]);
  });

  test("takes a tap of another namespace as the descriptor that it is opened on", () => {
    const tapFds = new Map([["net0", 5]]);
    const line = qemuArguments(machine, { accelerator: "tcg", ...descriptors, tapFds });
    expect(line).toContain("tap,id=nic-net0,fd=5,vhost=off");
    expect(line.join(" ")).not.toContain("ifname");
  });
});
