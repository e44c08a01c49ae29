/** The composition root: the one place that names concrete drivers and adapters. */
import { release } from "node:os";
import type { Logger } from "pino";
import { createChannelCapability } from "../guest/channel-capability.ts";
import { Cgroups } from "../host/cgroups.ts";
import type { LoadedConfig } from "../host/config.ts";
import { checkDirectories, checkPrograms, diagnose } from "../host/doctor.ts";
import { createFileSyncCapability } from "../host/file-sync-capability.ts";
import type { Layout } from "../host/layout.ts";
import { createLimitsCapability } from "../host/limits-capability.ts";
import { checkLimits } from "../host/limits-check.ts";
import { createRatesCapability, type RatesOptions } from "../host/rates-capability.ts";
import { checkRates } from "../host/rates-check.ts";
import { SshKeyring } from "../host/ssh-keys.ts";
import { Catalog } from "../images/catalog.ts";
import { ImageService } from "../images/image-service.ts";
import { Images } from "../images/images.ts";
import { KernelService, type KernelServiceOptions } from "../images/kernel-service.ts";
import type { ImageLimits } from "../images/tar/limits.ts";
import { createClock } from "../lib/clock.ts";
import { availableMemoryBytes } from "../lib/memory-file.ts";
import type { ImageSource } from "../model/boot.ts";
import type { Capability } from "../model/capability.ts";
import type { Config } from "../model/config.ts";
import { Egress } from "../network/egress/egress.ts";
import { createNetworkCapability, networkVm } from "../network/network-capability.ts";
import { createPortsCapability } from "../network/published/ports-capability.ts";
import { PublishedPorts } from "../network/published/published-ports.ts";
import { checkNetwork } from "../network/report.ts";
import { NetworkService } from "../network/service.ts";
import { Snapshots } from "../snapshots/snapshots.ts";
import { Templates } from "../snapshots/templates.ts";
import { createDiskCapability } from "../storage/disk-capability.ts";
import { createVolumeCapability } from "../storage/volume-capability.ts";
import { Volumes } from "../storage/volumes.ts";
import { openStore, type Store } from "../store/store.ts";
import { createFirecrackerDriver, type FirecrackerDriverOptions } from "../vmm/firecracker/driver.ts";
import { createJailCapability } from "../vmm/firecracker/jail-capability.ts";
import type { Driver } from "../vmm/port.ts";
import { createQemuDriver, type QemuDriverOptions } from "../vmm/qemu/driver.ts";
import type { VmDefaults } from "../vms/context.ts";
import { createIdleClock, type IdleClock } from "../vms/idle.ts";
import { Vms } from "../vms/vms.ts";
import { Workspaces } from "../workspaces/workspaces.ts";
import { reportConfig } from "./config-report.ts";
import { DriverChoice } from "./driver-choice.ts";
import { Metrics } from "./metrics.ts";
import type { Services } from "./services.ts";

export interface ComposeOptions {
  readonly layout: Layout;
  readonly config: LoadedConfig;
  /** Loads the configuration anew, to compare. Errors: `invalid_argument`. */
  readonly reloadConfig: () => LoadedConfig;
  readonly version: string;
  /** The guest agent's binary. */
  readonly agentPath: string;
  readonly log: Logger;
  readonly requestStop: () => void;
  /** In order of preference; default: Firecracker, then QEMU. */
  readonly drivers?: readonly Driver[];
  /** For tests: where kernel and initramfs come from when a driver needs none. */
  readonly bootFiles?: ImageSource["bootFiles"];
  /** For tests: other places that kernels come from. */
  readonly kernels?: Partial<Pick<KernelServiceOptions, "host" | "buildDebian">>;
  /** For tests: goes before the configuration. */
  readonly bootDeadlineMs?: number;
  readonly onStep?: (step: string) => void;
  /** For tests: capabilities after banger's own. */
  readonly capabilities?: readonly Capability[];
  /** For tests: how long after a boot its template is begun. */
  readonly templateQuietMs?: number;
  /** Default: what the host has left. */
  readonly availableMemory?: () => number;
  /** Default: the host's clock. Unix milliseconds. */
  readonly now?: () => number;
  /** Default: the host's monotonic clock. */
  readonly idleClock?: IdleClock;
}

export interface Composition extends Disposable {
  readonly services: Services;
  readonly store: Store;
  readonly drivers: DriverChoice;
  /** Takes over the network of the VMs that run; once, after VMs were reconciled. Never throws. */
  recoverNetwork(): Promise<void>;
}

/** A command that was run in a VM that booted cold has mostly ended by then. */
const TEMPLATE_QUIET_MS = 1_000;
/** A VM that took a clone of the warm pool is up by then. */
const POOL_QUIET_MS = 250;

/** Builds all services on the directories of `layout`, which exist. Errors: those of `openStore`. Disposing closes the store. */
export function compose(options: ComposeOptions): Composition {
  const { layout, log } = options;
  const config = options.config.values;
  const store = openStore(layout.database);
  const onStep = options.onStep ?? (() => undefined);
  const kernels = new KernelService({
    store,
    kernelsDir: layout.kernelsDir,
    cacheDir: layout.cacheDir,
    agentPath: options.agentPath,
    rootfsOf: async (digest) => (await images.byDigest(digest)).rootfsPath,
    host: { root: "/", release: release() },
    onStep,
    ...options.kernels,
  });
  const images: ImageService = new ImageService({
    kernels,
    store,
    catalog: new Catalog(config.catalog),
    onStep,
    images: new Images({
      imagesDir: layout.imagesDir,
      cacheDir: layout.cacheDir,
      registry: {
        registries: config.registries,
        trust: { certsDirs: [layout.certsDir, "/etc/containers/certs.d", "/etc/docker/certs.d"] },
        env: process.env,
        clock: createClock(),
      },
      limits: imageLimits(config),
      onStep,
    }),
  });
  const chrootBase =
    config.firecrackerChrootBase === "default" ? layout.jailsDir : config.firecrackerChrootBase;
  const drivers = new DriverChoice(
    options.drivers ?? [
      createFirecrackerDriver(firecrackerOptions(layout, config, chrootBase)),
      createQemuDriver(qemuOptions(layout, config)),
    ],
  );
  const rates = ratesOf(config);
  const metrics = new Metrics(() => store.vms.countByState());
  const cgroups = new Cgroups();
  const now = options.now ?? Date.now;
  const volumes = new Volumes({
    store,
    path: (id) => layout.volume(id),
    directory: layout.volumesDir,
    now,
  });
  const network = createNetwork(options, { store, drivers });
  const sshKeys = new SshKeyring({ layout, vms: () => store.vms.list() });
  const templates = new Templates({
    dir: layout.templatesDir,
    maxCount: config.templatesMaxCount,
    maxBytes: config.templatesMaxMib * 2 ** 20,
    bootAside: async (wish, work, signal) => await vms.bootAside(wish, work, signal),
    log,
    now,
    onStep,
    quietMs: options.templateQuietMs ?? TEMPLATE_QUIET_MS,
    availableMemoryBytes: options.availableMemory ?? availableMemoryBytes,
    onMade: () => vms.pool.refill(),
    onRemove: async (id) => await vms.pool.endOf(id),
  });
  const snapshots = new Snapshots({
    dir: layout.snapshotsDir,
    store,
    vms: () => vms,
    report: async (driver) => (await drivers.choose(driver)).report,
    log,
    now,
    onStep,
  });
  const egress = new Egress({
    clock: createClock(),
    agent: async (id) => await vms.agent(id),
    facts: () => network.facts(),
    gateway: network.plan.gateway,
    answer: async (...question) => await network.answer(...question),
    onBlocked: (vm, message) => network.blocked(vm, message),
    onProblem: (id, error) => {
      const level = error.code === "unsupported" ? "warn" : "debug";
      log[level]({ vm: id, reason: error.message }, "the guest has no way out over the agent's channel");
    },
  });
  const published = new PublishedPorts({
    clock: createClock(),
    dial: async (id, target, handlers) => await vms.dial(id, target, handlers),
    onProblem: (id, message, error) => log.warn({ vm: id, reason: error?.message }, message),
    onBroken: (id, message, error) => log.debug({ vm: id, reason: error.message }, message),
    onStep,
  });
  const vms: Vms = new Vms({
    store,
    snapshots,
    warm: templates,
    layout,
    log,
    images: withBootFiles(images, options.bootFiles),
    capabilities: [
      createJailCapability({ base: chrootBase }),
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
        entries: config.fileSync,
        onMissing: (id, problem) => log.warn({ vm: id, problem }, "file_sync: a file was not copied"),
      }),
      createPortsCapability(published),
      { name: "ssh", removed: () => sshKeys.writeKnownHosts() },
      ...(options.capabilities ?? []),
    ],
    chooseDriver: (name) => drivers.choose(name),
    demandDriver: (name) => void drivers.demand(name),
    driverByName: (name) => drivers.byName(name),
    defaults: vmDefaults(config),
    now,
    bootDeadlineMs: options.bootDeadlineMs ?? config.bootTimeoutMs,
    stopTimeoutMs: config.stopTimeoutMs,
    availableMemoryBytes: options.availableMemory ?? availableMemoryBytes,
    warmPool: { sizes: config.warmPool, quietMs: options.templateQuietMs ?? POOL_QUIET_MS },
    autoStop: { afterMs: config.autoStopAfterMs, clock: options.idleClock ?? createIdleClock() },
    onStep,
    onTiming: (operation, step, ms) => metrics.step(operation, step, ms),
  });
  const workspaces = new Workspaces({
    store,
    guests: vms,
    vmDir: (id) => layout.vmDir(id),
    directory: layout.workspacesDir,
    now,
    onStep,
  });
  const startedAt = Date.now();
  const services: Services = {
    vms,
    workspaces,
    images,
    kernels,
    volumes,
    published,
    networkWay: (id) => {
      if (egress.serves(id)) return "channel";
      return network.network.attachment(id) === undefined ? undefined : "card";
    },
    sshKeys,
    templates,
    snapshots,
    network,
    events: store.events,
    metrics,
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
    config: () => reportConfig(options.config, options.reloadConfig),
    doctor: () =>
      diagnose([
        drivers.check,
        checkPrograms,
        checkDirectories(layout),
        checkLimits(() => cgroups.places),
        checkRates(rates, () => drivers.holdsNicRates()),
        checkNetwork(network),
      ]),
  };
  return {
    services,
    store,
    drivers,
    async recoverNetwork() {
      const up = store.vms.list().filter(({ state }) => state === "running" || state === "paused");
      try {
        await network.network.recover(up.map(networkVm));
      } catch (error) {
        log.error({ err: error }, "the network could not be taken over; running VMs keep their old rules");
      }
    },
    [Symbol.dispose]() {
      published[Symbol.dispose]();
      network.network[Symbol.dispose]();
      egress[Symbol.dispose]();
      store[Symbol.dispose]();
    },
  };
}

function createNetwork(
  { layout, log, config, onStep = () => undefined }: ComposeOptions,
  { store, drivers }: Pick<Composition, "store" | "drivers">,
): NetworkService {
  const { addressPool, tapPoolSize, dnsPort } = config.values;
  return new NetworkService({
    uid: process.getuid?.() ?? 0,
    stateDir: layout.stateDir,
    pool: addressPool,
    poolIsChosen: config.origins.addressPool !== "default",
    tapPoolSize,
    dnsPort,
    way: config.values.networkWay,
    channelRefused: async () => {
      const { report } = await drivers.choose();
      return report.features.tun ? undefined : `the guests of the hypervisor ${report.driver} have no kernel`;
    },
    addressOf: (name) => store.vms.byName(name)?.address,
    nicsRefused: async () => {
      const { report } = await drivers.choose();
      return report.features.nics
        ? undefined
        : `the hypervisor ${report.driver} gives guests no network card`;
    },
    onBlocked: (id, message) => {
      const vm = store.vms.byId(id);
      if (vm !== undefined) store.events.note("blocked", vm, message);
    },
    onProblem: (what, error) => log.warn({ err: error }, `network: ${what}`),
    onStep,
  });
}

function qemuOptions(layout: Layout, config: Config): QemuDriverOptions {
  const { qemuBin, qemuAccelerator } = config;
  const accelerator = qemuAccelerator === "auto" ? {} : { accelerator: qemuAccelerator };
  return { verdictCachePath: layout.kvmVerdicts, binary: qemuBin, ...accelerator };
}

function firecrackerOptions(layout: Layout, config: Config, chrootBase: string): FirecrackerDriverOptions {
  return {
    verdictCachePath: layout.kvmVerdicts,
    chrootBase,
    binary: config.firecrackerBin,
    jailer: config.firecrackerJailer,
    jailerBinary: config.firecrackerJailerBin,
    transport: config.firecrackerTransport,
  };
}

function imageLimits(config: Config): ImageLimits {
  return {
    maxEntries: config.imageMaxEntries,
    maxBytes: config.imageMaxSizeMib * 1024 * 1024,
    maxRatio: config.imageMaxRatio,
    maxPathBytes: config.imageMaxPathBytes,
    maxXattrBytes: config.imageMaxXattrBytes,
  };
}

function vmDefaults(config: Config): VmDefaults {
  const { defaultImage: image, vcpus, memoryMib, diskMib, addressPool } = config;
  return { image, vcpus, memoryMib, diskMib, addressPool };
}

function ratesOf({ diskRate, diskIops, networkRate }: Config): Pick<RatesOptions, "disk" | "nic"> {
  const disk = {
    ...(diskRate === undefined ? {} : { bytesPerSecond: diskRate }),
    ...(diskIops === undefined ? {} : { opsPerSecond: diskIops }),
  };
  return {
    disk: Object.keys(disk).length === 0 ? undefined : disk,
    nic: networkRate === undefined ? undefined : { bytesPerSecond: networkRate },
  };
}

function withBootFiles(images: ImageSource, bootFiles: ImageSource["bootFiles"] | undefined): ImageSource {
  return {
    ensure: (name, options) => images.ensure(name, options),
    byDigest: (digest) => images.byDigest(digest),
    ensureKernel: (choice, options) => images.ensureKernel(choice, options),
    bootFiles: bootFiles ?? ((choice, options) => images.bootFiles(choice, options)),
  };
}
