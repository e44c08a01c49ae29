/** The diagnosis of the configured rates: which hold, and which the driver has no means for. */
import type { DoctorCheck, DoctorRow } from "../model/doctor.ts";
import type { Rate } from "../model/machine.ts";
import { formatBytes } from "../model/quantities.ts";
import type { RatesOptions } from "./rates-capability.ts";

/** `holdsNics`: whether the driver of new VMs holds cards to a rate. */
export function checkRates(
  { disk, nic }: Pick<RatesOptions, "disk" | "nic">,
  holdsNics: () => Promise<boolean>,
): DoctorCheck {
  return async () => {
    const nics = await holdsNics();
    const unheld: readonly DoctorRow[] = [
      {
        check: "limits",
        verdict: "warn",
        message: "not of network_rate: the driver does not limit network cards",
        cure: 'use Firecracker, or set limits.network_rate to "none"',
      },
    ];
    return {
      rows: [
        ...(disk === undefined ? [] : [passed("disk", disk)]),
        ...(nic === undefined ? [] : nics ? [passed("network card, each way", nic)] : unheld),
      ],
      capabilities: { "limits.disk_rate": true, "limits.network_rate": nics },
    };
  };
}

function passed(device: string, { bytesPerSecond, opsPerSecond }: Rate): DoctorRow {
  const most = [
    ...(bytesPerSecond === undefined ? [] : [`${formatBytes(bytesPerSecond)}/s`]),
    ...(opsPerSecond === undefined ? [] : [`${opsPerSecond} operations/s`]),
  ];
  return { check: "limits", verdict: "pass", message: `${most.join(" and ")} of each ${device}` };
}
