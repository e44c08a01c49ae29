/** Findings about this host's Firecracker as the port's report. */
import type { KvmVerdict } from "../kvm-verdict.ts";
import type { DriverReport } from "../port.ts";
import { snapshotKey } from "./facts.ts";
import type { Isolation, ProgramFindings } from "./host-findings.ts";
import type { Transport } from "./platform.ts";

export interface ReportInput {
  readonly findings: ProgramFindings;
  readonly kvm: KvmVerdict;
  readonly isolation: Isolation;
  readonly transport: Transport;
}

export function reportFromFindings({ findings, kvm, isolation, transport }: ReportInput): DriverReport {
  const driver = "firecracker";
  if (kvm.kind !== "works") {
    return { available: false, driver, reason: `Firecracker needs KVM: ${kvm.reason}`, cure: kvm.cure };
  }
  const { version, features } = findings;
  return {
    available: true,
    driver,
    version,
    accelerator: "kvm",
    machineType: transport === "pci" ? "microvm with PCI" : "microvm",
    features: {
      pause: true,
      snapshot: features.snapshot,
      nics: true,
      openedNics: false,
      nicRate: true,
      tun: true,
    },
    ...(features.snapshot ? { snapshotKey: snapshotKey({ version, transport }) } : {}),
    notes: [
      ...isolationNotes(isolation),
      ...(features.snapshot ? [] : ["snapshots need Firecracker 1.16.0 or newer"]),
    ],
  };
}

function isolationNotes(isolation: Isolation): readonly string[] {
  switch (isolation.kind) {
    case "jail":
      return [];
    case "user-namespace":
      return [
        "without root there is no jailer: Firecracker runs in a user namespace of its own, and sees your files",
      ];
    case "none":
      return [`Firecracker runs without a jail: ${isolation.reason}. Cure: ${isolation.cure}`];
  }
}
