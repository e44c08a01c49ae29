/**
 * What a QEMU snapshot fits: read from the argument list that the machine was started with, because that is what QEMU builds its
 * devices from, and it can be read again from a process that an earlier daemon started.
 */
import { createHash } from "node:crypto";
import type { Machine } from "../../model/machine.ts";
import { cpuFeatures, readCpuModel } from "../program-identity.ts";
import type { SnapshotFacts } from "../snapshot-files.ts";
import { qemuArguments, SUPPRESS_VMDESC } from "./command-line.ts";
import type { HostFindings } from "./host-findings.ts";

/** Arguments whose whole value counts. */
const PLAIN: Readonly<Record<string, string>> = {
  accelerator: "-accel",
  vcpus: "-smp",
  memory: "-m",
};

/** The facts of a machine with these arguments under this version of QEMU, on this host. */
export function factsFromArguments(args: readonly string[], version: string): SnapshotFacts {
  const values = (option: string): readonly string[] =>
    args.flatMap((word, index) => (args[index - 1] === option ? [word] : []));
  const plain = Object.entries(PLAIN).map(([name, option]) => [name, values(option).join(" ")]);
  return {
    version,
    ...Object.fromEntries(plain),
    machine: values("-machine").join(" ").replace(SUPPRESS_VMDESC, ""),
    cpu: cpuFact(values("-cpu").join(" ")),
    devices: values("-device").map(withoutIdentity).join(" "),
    disks: values("-blockdev").flatMap(diskFact).join(" "),
  };
}

/** The facts that a machine would have if this host's QEMU started it. */
export function machineFacts(machine: Machine, findings: HostFindings): SnapshotFacts {
  const { accelerator, version } = findings;
  return factsFromArguments(qemuArguments(machine, { accelerator, qmpFd: 3, agentFd: 4 }), version);
}

/** The part of them that no machine decides: for `DriverReport.snapshotKey`. */
export function snapshotKey(findings: HostFindings): string {
  const sample: Machine = {
    id: "sample",
    vcpus: 1,
    memoryMib: 64,
    kernelPath: "/kernel",
    initramfsPath: "/initramfs",
    cmdline: [],
    disks: [{ id: "disk", path: "/disk", readOnly: false }],
    nics: [{ id: "nic", mac: "52:54:00:00:00:01", tap: "tap" }],
    consolePath: "/console",
  };
  return createHash("sha256")
    .update(JSON.stringify(["qemu", machineFacts(sample, findings)]))
    .digest("hex");
}

/** `host` is whatever this host has. Under emulation the guest knows the host's clock rate only, which goes with the model. */
function cpuFact(cpu: string): string {
  return cpu === "host" ? `${readCpuModel()} ${cpuFeatures()}` : `${cpu} on ${readCpuModel()}`;
}

/** A card keeps the address that it had; the guest is told its new one. */
function withoutIdentity(device: string): string {
  const { mac: _, ...rest } = JSON.parse(device) as Record<string, unknown>;
  return JSON.stringify(rest);
}

/** None for the file below a filter, which the guest cannot tell from one without. */
function diskFact(blockdev: string): readonly string[] {
  const { "node-name": node, "read-only": readOnly } = JSON.parse(blockdev) as Record<string, unknown>;
  if (!String(node).startsWith("disk-")) return [];
  return [`${String(node)}${readOnly === true ? " (read-only)" : ""}`];
}
