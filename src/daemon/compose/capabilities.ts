/** The capabilities of a VM's life, in the order of its start. */
import { createChannelCapability } from "../../guest/channel-capability.ts";
import type { Cgroups } from "../../host/cgroups.ts";
import { createFileSyncCapability } from "../../host/file-sync-capability.ts";
import { createLimitsCapability } from "../../host/limits-capability.ts";
import { createRatesCapability, type RatesOptions } from "../../host/rates-capability.ts";
import type { SshKeyring } from "../../host/ssh-keys.ts";
import type { Capability } from "../../model/capability.ts";
import type { Config } from "../../model/config.ts";
import type { Egress } from "../../network/egress/egress.ts";
import { createNetworkCapability } from "../../network/network-capability.ts";
import { createPortsCapability } from "../../network/published/ports-capability.ts";
import type { PublishedPorts } from "../../network/published/published-ports.ts";
import type { NetworkService } from "../../network/service.ts";
import { createDiskCapability } from "../../storage/disk-capability.ts";
import { createVolumeCapability } from "../../storage/volume-capability.ts";
import type { Volumes } from "../../storage/volumes.ts";
import type { DriverChoice } from "../driver-choice.ts";
import type { ComposeOptions } from "./options.ts";

export type Rates = Pick<RatesOptions, "disk" | "nic">;

interface Parts {
  readonly jail: Capability;
  readonly rates: Rates;
  readonly cgroups: Cgroups;
  readonly drivers: DriverChoice;
  readonly volumes: Volumes;
  readonly network: NetworkService;
  readonly egress: Egress;
  readonly published: PublishedPorts;
  readonly sshKeys: SshKeyring;
}

export function createCapabilities(options: ComposeOptions, parts: Parts): Capability[] {
  const { layout, log } = options;
  const { jail, rates, cgroups, drivers, volumes, network, egress, published, sshKeys } = parts;
  return [
    jail,
    createDiskCapability({ diskPath: (id) => layout.disk(id) }),
    createVolumeCapability(volumes, (id, place) => layout.copiedDirectory(id, place)),
    createChannelCapability({ runtimeDir: (id) => layout.vmRuntimeDir(id) }),
    createNetworkCapability({
      network: network.network,
      egress,
      availability: () => network.availability(),
      checkPool: () => network.checkPool(),
      search: () => network.search(),
      onProblem: (id, error) => log.warn({ vm: id, err: error }, "the VM starts without a network"),
    }),
    createRatesCapability({
      ...rates,
      holdsNics: async ({ spec }) => (await drivers.choose(spec.vmm)).report.features.nicRate,
      onProblem: (id, problem) => log.warn({ vm: id, problem }, "a limit does not hold"),
    }),
    createLimitsCapability({
      cgroups,
      emulated: async ({ spec }) => (await drivers.choose(spec.vmm)).report.accelerator === "tcg",
      onProblem: (id, problem) => log.warn({ vm: id, problem }, "a limit does not hold"),
    }),
    createFileSyncCapability({
      entries: options.config.values.fileSync,
      onMissing: (id, problem) => log.warn({ vm: id, problem }, "file_sync: a file was not copied"),
    }),
    createPortsCapability(published),
    { name: "ssh", removed: () => sshKeys.writeKnownHosts() },
    ...(options.capabilities ?? []),
  ];
}

/** The limits that the configuration asks for. */
export function ratesOf({ diskRate, diskIops, networkRate }: Config): Rates {
  const disk = {
    ...(diskRate === undefined ? {} : { bytesPerSecond: diskRate }),
    ...(diskIops === undefined ? {} : { opsPerSecond: diskIops }),
  };
  return {
    disk: Object.keys(disk).length === 0 ? undefined : disk,
    nic: networkRate === undefined ? undefined : { bytesPerSecond: networkRate },
  };
}
