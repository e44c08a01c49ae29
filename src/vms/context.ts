/** What the life of VMs works with: given once by the composition root, shared by every verb. */
import type { Logger } from "pino";
import type { Layout } from "../host/layout.ts";
import type { KeyedLock } from "../lib/keyed-lock.ts";
import type { ImageSource } from "../model/boot.ts";
import type { Capability } from "../model/capability.ts";
import type { KeptBootstraps } from "../model/kept.ts";
import type { SavedMachines, WarmStarts } from "../model/saved.ts";
import type { Store } from "../store/store.ts";
import type { Driver, DriverReport } from "../vmm/port.ts";
import type { IdleClock, IdleWatch } from "./idle.ts";
import type { LiveVm } from "./live.ts";
import type { OnTiming } from "./steps.ts";
import type { WarmPool, WarmPoolOptions } from "./warm-pool.ts";

/** A driver that said it can run here. */
export interface ReadyDriver {
  readonly driver: Driver;
  readonly report: Extract<DriverReport, { available: true }>;
}

/** Defaults of a VM that nobody asked otherwise for. */
export interface VmDefaults {
  readonly image: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly addressPool: string;
}

export interface VmDeps {
  readonly store: Store;
  readonly layout: Layout;
  readonly images: ImageSource;
  readonly warm: WarmStarts;
  readonly bootstraps: KeptBootstraps;
  readonly snapshots: SavedMachines;
  /** In the order in which they are folded. */
  readonly capabilities: readonly Capability[];
  /** The driver for a start: that of this name, else the best. Errors: `unavailable`, with every asked driver's reason. */
  readonly chooseDriver: (name: string | undefined) => Promise<ReadyDriver>;
  /** Errors: `invalid_argument` when there is no driver of this name, whether or not it can run here. */
  readonly demandDriver: (name: string) => void;
  /** The driver of that name, to adopt what it started. */
  readonly driverByName: (name: string) => Driver | undefined;
  readonly defaults: VmDefaults;
  readonly log: Logger;
  readonly now: () => number;
  /** How long a guest may take until its agent answers. */
  readonly bootDeadlineMs: number;
  /** How long a guest may take to power off when nobody says; undefined: as long as its init needs. */
  readonly stopTimeoutMs: number | undefined;
  /** When a VM that nobody uses is stopped; undefined: never. */
  readonly autoStop: { readonly afterMs: number | undefined; readonly clock: IdleClock };
  /** Of the host. */
  readonly availableMemoryBytes: () => number;
  readonly warmPool: Pick<WarmPoolOptions, "sizes" | "quietMs">;
  /** Hears of every named step before it is done; the fault tests end the daemon there. */
  readonly onStep: (step: string) => void;
  readonly onTiming: OnTiming;
}

export interface VmContext extends VmDeps {
  /** One lock a VM, for what changes its life; guest I/O never takes it. */
  readonly locks: KeyedLock;
  readonly live: Map<string, LiveVm>;
  /** Ends a start that is under way. */
  readonly starts: Map<string, AbortController>;
  /** VMs whose stop is under way: a kill need not wait for the guest's grace. */
  readonly ending: Map<string, LiveVm>;
  /** Hears of every use of a running VM. */
  readonly idle: IdleWatch;
  readonly pool: WarmPool;
}
