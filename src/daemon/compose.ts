/** The composition root: the one place that names concrete drivers and adapters. */
import { Cgroups } from "../host/cgroups.ts";
import { checkDirectories, checkPrograms, diagnose } from "../host/doctor.ts";
import type { Layout } from "../host/layout.ts";
import { checkLimits } from "../host/limits-check.ts";
import { checkRates } from "../host/rates-check.ts";
import { SshKeyring } from "../host/ssh-keys.ts";
import { createClock } from "../lib/clock.ts";
import { availableMemoryBytes } from "../lib/memory-file.ts";
import type { Config } from "../model/config.ts";
import { networkVm } from "../network/network-capability.ts";
import { PublishedPorts } from "../network/published/published-ports.ts";
import { checkNetwork } from "../network/report.ts";
import type { NetworkService } from "../network/service.ts";
import { Bootstraps } from "../snapshots/bootstraps.ts";
import { Snapshots } from "../snapshots/snapshots.ts";
import { Templates } from "../snapshots/templates.ts";
import { Volumes } from "../storage/volumes.ts";
import { openStore, type Store } from "../store/store.ts";
import { createFirecrackerDriver, type FirecrackerDriverOptions } from "../vmm/firecracker/driver.ts";
import { createJailCapability } from "../vmm/firecracker/jail-capability.ts";
import { createQemuDriver, type QemuDriverOptions } from "../vmm/qemu/driver.ts";
import type { VmDefaults } from "../vms/context.ts";
import { createIdleClock } from "../vms/idle.ts";
import { Vms } from "../vms/vms.ts";
import { Workspaces } from "../workspaces/workspaces.ts";
import { createCapabilities, ratesOf } from "./compose/capabilities.ts";
import { createImages, withBootFiles } from "./compose/images.ts";
import { createEgress, createNetwork, createRoute } from "./compose/network.ts";
import type { ComposeOptions } from "./compose/options.ts";
import { reportConfig } from "./config-report.ts";
import { DriverChoice } from "./driver-choice.ts";
import { Metrics } from "./metrics.ts";
import { checkRecords } from "./records-check.ts";
import type { Services } from "./services.ts";

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
  const { images, kernels } = createImages(options, {
    store,
    keepsAll: () => vms.unrecorded().length > 0 || snapshots.unrecorded().length > 0,
  });
  const chrootBase =
    config.firecrackerChrootBase === "default" ? layout.jailsDir : config.firecrackerChrootBase;
  const drivers = new DriverChoice(
    options.drivers ?? [
      createFirecrackerDriver(firecrackerOptions(layout, config, chrootBase)),
      createQemuDriver({
        ...qemuOptions(layout, config),
        openTap: async (_, tap) => await network.openTap(tap),
      }),
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
    log,
    onStep,
  });
  const network: NetworkService = createNetwork(options, { store, drivers });
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
  const bootstraps = new Bootstraps({
    shelf: templates.shelf,
    vms: () => vms,
    workspaces: () => workspaces.carried,
    version: options.version,
    log,
    now,
    onStep,
  });
  const snapshots = new Snapshots({
    dir: layout.snapshotsDir,
    store,
    vms: () => vms,
    workspaces: () => workspaces.carried,
    report: async (driver) => (await drivers.choose(driver)).report,
    log,
    now,
    onStep,
  });
  const egress = createEgress(options, network, async (id) => await vms.agent(id));
  const published = new PublishedPorts({
    clock: createClock(),
    dial: async (id, target, handlers) => await vms.dial(id, target, handlers),
    route: createRoute(network, (id) => vms.use(id)),
    onProblem: (id, message, error) => log.warn({ vm: id, reason: error?.message }, message),
    onBroken: (id, message, error) => log.debug({ vm: id, reason: error.message }, message),
    onStep,
  });
  const vms: Vms = new Vms({
    store,
    snapshots,
    warm: templates,
    bootstraps,
    layout,
    log,
    images: withBootFiles(images, options.bootFiles),
    capabilities: createCapabilities(options, {
      jail: createJailCapability({ base: chrootBase }),
      rates,
      cgroups,
      drivers,
      volumes,
      network,
      egress,
      published,
      sshKeys,
    }),
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
  const workspaces: Workspaces = new Workspaces({
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
        checkRecords(async () => ({
          vmDirectories: vms.unrecorded(),
          volumeFiles: volumes.unrecorded(),
          snapshotDirectories: snapshots.unrecorded(),
          images: await images.unrecorded(),
        })),
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

function vmDefaults(config: Config): VmDefaults {
  const { defaultImage: image, vcpus, memoryMib, diskMib, addressPool } = config;
  return { image, vcpus, memoryMib, diskMib, addressPool };
}
