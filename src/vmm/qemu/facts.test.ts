import { describe, expect, test } from "bun:test";
import type { Machine } from "../../model/machine.ts";
import { qemuArguments } from "./command-line.ts";
import { factsFromArguments, machineFacts, snapshotKey } from "./facts.ts";
import type { HostFindings } from "./host-findings.ts";

const machine: Machine = {
  id: "a1b2c3",
  vcpus: 2,
  memoryMib: 512,
  kernelPath: "/k/vmlinux",
  initramfsPath: "/k/initramfs",
  cmdline: ["quiet"],
  disks: [{ id: "disk", path: "/vms/a/disk.ext4", readOnly: false }],
  nics: [{ id: "net0", mac: "52:54:00:ac:10:00", tap: "bgr0" }],
  consolePath: "/vms/a/console.log",
};
const findings: HostFindings = { program: "/q", version: "7.2.22", accelerator: "tcg", kvm: undefined };

describe("machineFacts()", () => {
  const facts = machineFacts(machine, findings);

  test.each<[string, Partial<Machine>]>([
    ["id, console", { id: "other", consolePath: "/vms/b/console.log" }],
    ["kernel", { kernelPath: "/k2", initramfsPath: "/i2", cmdline: [] }],
    [
      "rate of a disk",
      { disks: [{ id: "disk", path: "/vms/a/disk.ext4", readOnly: false, rate: { opsPerSecond: 50 } }] },
    ],
    ["path of a disk", { disks: [{ id: "disk", path: "/vms/b/disk.ext4", readOnly: false }] }],
    ["tap, address", { nics: [{ id: "net0", mac: "52:54:00:ac:10:09", tap: "bgr9" }] }],
  ])("are the same for a machine of another %s", (_, change) => {
    expect(machineFacts({ ...machine, ...change }, findings)).toEqual(facts);
  });

  test.each<[string, Partial<Machine>, Partial<HostFindings>]>([
    ["vcpus", { vcpus: 1 }, {}],
    ["memory", { memoryMib: 513 }, {}],
    ["disks", { disks: [{ id: "disk", path: "/vms/a/disk.ext4", readOnly: true }] }, {}],
    ["devices", { disks: [{ id: "disk2", path: "/vms/a/disk.ext4", readOnly: false }] }, {}],
    ["devices", { nics: [] }, {}],
    ["version", {}, { version: "7.2.21" }],
    ["accelerator", {}, { accelerator: "kvm" }],
  ])("differ in %s for %o %o", (name, change, found) => {
    const others = machineFacts({ ...machine, ...change }, { ...findings, ...found });
    expect(others[name]).not.toBe(facts[name]);
  });

  test("are the same for the machine that goes on", () => {
    const snapshot = { memoryPath: "/m", stateFd: 5 };
    const args = qemuArguments(machine, { accelerator: "tcg", qmpFd: 7, agentFd: 8, snapshot });
    expect(factsFromArguments(args, "7.2.22")).toEqual(facts);
  });
});

test("snapshotKey() changes with QEMU and its accelerator", () => {
  const keys = [
    findings,
    { ...findings, version: "8.0.0" },
    { ...findings, accelerator: "kvm" as const },
  ].map(snapshotKey);
  expect(new Set(keys).size).toBe(3);
  expect(snapshotKey({ ...findings, program: "/elsewhere" })).toBe(snapshotKey(findings));
});
