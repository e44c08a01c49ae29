/** What a Firecracker snapshot fits: the same of a machine to be and of one that runs, also if an earlier daemon started it. */
import { createHash } from "node:crypto";
import type { Machine } from "../../model/machine.ts";
import { cpuFeatures, readCpuModel } from "../program-identity.ts";
import type { SnapshotFacts } from "../snapshot-files.ts";
import type { MachineConfig } from "./description.ts";
import { apiId } from "./devices.ts";
import type { Transport } from "./platform.ts";

export interface Maker {
  readonly version: string;
  readonly transport: Transport;
}

/** The facts of what this host and this Firecracker give every machine. */
function makerFacts({ version, transport }: Maker): SnapshotFacts {
  return { version, transport, accelerator: "kvm", cpu: `${readCpuModel()} ${cpuFeatures()}` };
}

/** For `DriverReport.snapshotKey`. */
export function snapshotKey(maker: Maker): string {
  return createHash("sha256")
    .update(JSON.stringify(["firecracker", makerFacts(maker)]))
    .digest("hex");
}

/** The facts that a machine would have. */
export function machineFacts(machine: Machine, maker: Maker): SnapshotFacts {
  return shapeFacts(maker, {
    vcpus: machine.vcpus,
    memoryMib: machine.memoryMib,
    disks: machine.disks.map(({ id, readOnly }) => ({ id: apiId(id), readOnly })),
    nics: machine.nics.map(({ id }) => apiId(id)),
  });
}

/** The facts of a machine that Firecracker described. */
export function factsFromConfig(config: MachineConfig, maker: Maker): SnapshotFacts {
  return shapeFacts(maker, {
    vcpus: config["machine-config"].vcpu_count,
    memoryMib: config["machine-config"].mem_size_mib,
    disks: config.drives.map((drive) => ({ id: drive.drive_id, readOnly: drive.is_read_only === true })),
    nics: (config["network-interfaces"] ?? []).map(({ iface_id }) => iface_id),
  });
}

interface Shape {
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly disks: readonly { readonly id: string; readonly readOnly: boolean }[];
  readonly nics: readonly string[];
}

function shapeFacts(maker: Maker, { vcpus, memoryMib, disks, nics }: Shape): SnapshotFacts {
  return {
    ...makerFacts(maker),
    vcpus: String(vcpus),
    memory: `${memoryMib} MiB`,
    disks: disks.map(({ id, readOnly }) => `${id}${readOnly ? " (read-only)" : ""}`).join(", "),
    nics: nics.join(", "),
  };
}
