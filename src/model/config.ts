/** The configuration as one typed value. */
import type { CatalogSettings } from "./catalog-settings.ts";
import type { FileSyncEntry } from "./file-sync.ts";
import type { Registries } from "./registries.ts";
import type { WarmPoolSizes } from "./warm-pool.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export const NETWORK_WAYS = ["auto", "namespace", "channel"] as const;
export const ACCELERATORS = ["auto", "kvm", "tcg"] as const;
export const JAILER_WISHES = ["auto", "on", "off"] as const;
export const TRANSPORTS = ["mmio", "pci"] as const;

export interface Config {
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly defaultImage: string;
  /** As `parseDetachKeys` has them. */
  readonly detachKeys: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  /** IPv4 network, RFC 4632 notation. */
  readonly addressPool: string;
  /** Undefined: guests have no IPv6. */
  readonly pool6: string | undefined;
  readonly networkWay: (typeof NETWORK_WAYS)[number];
  /** Network taps kept ready. */
  readonly tapPoolSize: number;
  /** 0: no server. */
  readonly dnsPort: number;
  readonly bootTimeoutMs: number;
  /** Undefined: by the init of the guest. */
  readonly stopTimeoutMs: number | undefined;
  /** Undefined: never. */
  readonly autoStopAfterMs: number | undefined;
  /** Bytes per second; undefined: no limit. The same of `networkRate`. */
  readonly diskRate: number | undefined;
  readonly diskIops: number | undefined;
  readonly networkRate: number | undefined;
  /** Name or absolute path. */
  readonly qemuBin: string;
  readonly qemuAccelerator: (typeof ACCELERATORS)[number];
  /** Name or absolute path. */
  readonly firecrackerBin: string;
  readonly firecrackerJailer: (typeof JAILER_WISHES)[number];
  /** Name or absolute path. */
  readonly firecrackerJailerBin: string;
  /** Absolute, or `default`: in the state directory. */
  readonly firecrackerChrootBase: string;
  readonly firecrackerTransport: (typeof TRANSPORTS)[number];
  /** 0: no templates. */
  readonly templatesMaxCount: number;
  readonly templatesMaxMib: number;
  readonly warmPool: WarmPoolSizes;
  readonly fileSync: readonly FileSyncEntry[];
  /** Of images that others made. */
  readonly imageMaxEntries: number;
  readonly imageMaxSizeMib: number;
  readonly imageMaxRatio: number;
  readonly imageMaxPathBytes: number;
  readonly imageMaxXattrBytes: number;
  readonly registries: Registries;
  readonly catalog: CatalogSettings;
}

/** What defaults look at. */
export interface HostSize {
  readonly cores: number;
  readonly memoryMib: number;
}
