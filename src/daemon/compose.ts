/** The composition root: the one place that names concrete drivers and adapters. */
import { availableParallelism, totalmem } from "node:os";
import type { Logger } from "pino";
import { createChannelCapability } from "../guest/channel-capability.ts";
import { checkDirectories, checkPrograms, diagnose } from "../host/doctor.ts";
import type { Layout } from "../host/layout.ts";
import { ImageService } from "../images/image-service.ts";
import { Images } from "../images/images.ts";
import { DEFAULT_POOL } from "../model/addresses.ts";
import type { ImageSource } from "../model/boot.ts";
import type { Capability } from "../model/capability.ts";
import { defaultSize } from "../model/spec.ts";
import { createDiskCapability } from "../storage/disk-capability.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Driver } from "../vmm/port.ts";
import { createQemuDriver } from "../vmm/qemu/driver.ts";
import { Vms } from "../vms/vms.ts";
import { DriverChoice } from "./driver-choice.ts";
import type { Services } from "./services.ts";

/** How long a guest may take to its agent's first word: software emulation on a busy machine is slow. */
const BOOT_DEADLINE_MS = 120_000;

export interface ComposeOptions {
  readonly layout: Layout;
  readonly version: string;
  /** The guest agent's binary. */
  readonly agentPath: string;
  readonly log: Logger;
  readonly requestStop: () => void;
  /** In order of preference; default: QEMU. */
  readonly drivers?: readonly Driver[];
  /** For tests: where kernel and initramfs come from when a driver needs none. */
  readonly bootFiles?: ImageSource["bootFiles"];
  readonly bootDeadlineMs?: number;
  readonly onStep?: (step: string) => void;
  /** For tests: capabilities after banger's own. */
  readonly capabilities?: readonly Capability[];
  /** Default: the host's clock. Unix milliseconds. */
  readonly now?: () => number;
}

export interface Composition extends Disposable {
  readonly services: Services;
  readonly store: Store;
  readonly drivers: DriverChoice;
}

/** Builds all services on the directories of `layout`, which exist. Errors: those of `openStore`. Disposing closes the store. */
export function compose(options: ComposeOptions): Composition {
  const { layout, log } = options;
  const store = openStore(layout.database);
  const images = new ImageService({
    store,
    images: new Images({
      imagesDir: layout.imagesDir,
      kernelsDir: layout.kernelsDir,
      cacheDir: layout.cacheDir,
      agentPath: options.agentPath,
    }),
  });
  const drivers = new DriverChoice(
    options.drivers ?? [createQemuDriver({ verdictCachePath: layout.kvmVerdicts })],
  );
  const vms = new Vms({
    store,
    layout,
    log,
    images: withBootFiles(images, options.bootFiles),
    capabilities: [
      createDiskCapability({ diskPath: (id) => layout.disk(id) }),
      createChannelCapability({ runtimeDir: (id) => layout.vmRuntimeDir(id) }),
      ...(options.capabilities ?? []),
    ],
    chooseDriver: () => drivers.choose(),
    driverByName: (name) => drivers.byName(name),
    defaults: {
      image: "debian",
      addressPool: DEFAULT_POOL,
      ...defaultSize({ cores: availableParallelism(), memoryMib: totalmem() / 2 ** 20 }),
    },
    now: options.now ?? Date.now,
    bootDeadlineMs: options.bootDeadlineMs ?? BOOT_DEADLINE_MS,
    onStep: options.onStep ?? (() => undefined),
  });
  const startedAt = Date.now();
  const services: Services = {
    vms,
    images,
    events: store.events,
    log,
    version: options.version,
    requestStop: options.requestStop,
    status: () => ({
      pid: process.pid,
      version: options.version,
      startedAt,
      socket: layout.socket,
      stateDir: layout.stateDir,
      vms: vms.list().length,
      running: vms.list().filter((vm) => vm.state === "running").length,
      rssBytes: process.memoryUsage.rss(),
    }),
    doctor: () => diagnose([drivers.check, checkPrograms, checkDirectories(layout)]),
  };
  return { services, store, drivers, [Symbol.dispose]: () => store[Symbol.dispose]() };
}

function withBootFiles(images: ImageSource, bootFiles: ImageSource["bootFiles"] | undefined): ImageSource {
  return {
    ensure: (name, options) => images.ensure(name, options),
    byDigest: (digest) => images.byDigest(digest),
    bootFiles: bootFiles ?? ((options) => images.bootFiles(options)),
  };
}
