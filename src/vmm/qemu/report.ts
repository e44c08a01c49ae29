/** Findings about this host's QEMU as the port's report. */
import type { DriverReport } from "../port.ts";
import { snapshotKey } from "./facts.ts";
import type { HostFindings } from "./host-findings.ts";
import { PLATFORMS } from "./platform.ts";

export function reportFromFindings(findings: HostFindings): DriverReport {
  const { accelerator, kvm, version } = findings;
  return {
    available: true,
    driver: "qemu",
    version,
    accelerator,
    machineType: PLATFORMS[accelerator].machineType,
    features: { pause: true, snapshot: true, nics: true, openedNics: true, nicRate: false, tun: true },
    snapshotKey: snapshotKey(findings),
    notes:
      kvm === undefined || kvm.kind === "works"
        ? []
        : [`guests are emulated, many times slower than with KVM: ${kvm.reason}. Cure: ${kvm.cure}`],
  };
}
