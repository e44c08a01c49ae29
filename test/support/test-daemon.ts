/** The real server, store and services in this process, with the fake driver, and the real client in front of them. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { ComposeOptions } from "../../src/daemon/compose/options.ts";
import { compose } from "../../src/daemon/compose.ts";
import { serve } from "../../src/daemon/server.ts";
import { type LoadedConfig, loadConfig } from "../../src/host/config.ts";
import { createLayout, findLayout, type Layout } from "../../src/host/layout.ts";
import type { ImageConfig } from "../../src/model/spec.ts";
import { Client } from "../../src/sdk/client.ts";
import type { Snapshots } from "../../src/snapshots/snapshots.ts";
import type { Templates } from "../../src/snapshots/templates.ts";
import type { Volumes } from "../../src/storage/volumes.ts";
import type { Store } from "../../src/store/store.ts";
import { createFakeDriver, type FakeDriverOptions } from "../../src/vmm/fake/driver.ts";
import { agentProgram } from "../../src/vmm/fake/programs.ts";
import type { Vms } from "../../src/vms/vms.ts";
import { AGENT } from "./agent.ts";
import { networkRemains } from "./network-remains.ts";
import { hypervisorsOf } from "./processes.ts";
import { addImage } from "./test-image.ts";

export interface TestDaemonOptions
  extends Partial<
    Pick<
      ComposeOptions,
      | "bootDeadlineMs"
      | "log"
      | "onStep"
      | "capabilities"
      | "drivers"
      | "now"
      | "availableMemory"
      | "idleClock"
    >
  > {
  readonly driver?: FakeDriverOptions;
  /** Makes templates and uses them; by default none are, so that nothing happens by itself. */
  readonly templates?: boolean;
  /** A home that another test daemon left; this one does not delete it. */
  readonly home?: string;
  /** What config.toml holds; default: there is none. */
  readonly toml?: string;
  /** The daemon's environment, as far as the configuration reads it; default: empty. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestDaemon extends AsyncDisposable {
  readonly home: string;
  readonly layout: Layout;
  readonly client: Client;
  readonly store: Store;
  readonly vms: Vms;
  readonly volumes: Volumes;
  readonly templates: Templates;
  readonly snapshots: Snapshots;
  /** Registers an image of a few bytes under `name` and returns its digest. */
  addImage(name: string, config?: ImageConfig): Promise<string>;
  /** Ends this daemon as a crash would: nothing is told to anybody. Its VMs live on; its home stays. */
  crash(): Promise<void>;
}

/** Starts one. Disposing removes its VMs and fails when anything of them is left. */
export async function createTestDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const { driver, home: foundHome, toml, env = {}, templates: warm = false, ...composeOptions } = options;
  const home = foundHome ?? mkdtempSync(join(tmpdir(), "banger-test-"));
  const layout = findLayout({ BANGER_HOME: home }, process.getuid?.() ?? 0);
  createLayout(layout, process.getuid?.() ?? 0);
  // The fake opens kernel and initramfs, as a hypervisor does, and never looks into them.
  const file = join(home, "boot-file");
  writeFileSync(file, "");
  if (toml !== undefined) writeFileSync(layout.configFile, toml);
  const reloadConfig = (): LoadedConfig =>
    loadConfig({
      path: layout.configFile,
      env: { BANGER_BOOT_TIMEOUT: "20s", ...(warm ? {} : { BANGER_TEMPLATES_MAX_COUNT: "0" }), ...env },
      host: { cores: 8, memoryMib: 16_384 },
    });
  const composition = compose({
    layout,
    config: reloadConfig(),
    reloadConfig,
    version: "0.0.0-test",
    agentPath: AGENT,
    log: pino({ level: "silent" }),
    requestStop: () => undefined,
    drivers: [createFakeDriver({ program: agentProgram(AGENT), ...driver })],
    bootFiles: async () => ({ kernelPath: file, initramfsPath: file }),
    templateQuietMs: 0,
    ...composeOptions,
  });
  const { vms, volumes, templates, snapshots } = composition.services;
  await vms.reconcile();
  await volumes.sweep();
  await composition.recoverNetwork();
  await snapshots.sweep();
  await templates.shelf.sweep((digest) => composition.store.images.byDigest(digest).length > 0);
  const server = serve(layout.socket, composition.services);
  const client = await Client.create(layout.socket);
  const end = async ({ crashing = false } = {}): Promise<void> => {
    await Promise.all([templates.stop(), vms.pool.stop()]);
    vms.detach();
    if (!crashing) await composition.services.network.network.close();
    await server.stop(true);
    composition[Symbol.dispose]();
  };
  let crashed = false;
  return {
    home,
    layout,
    client,
    store: composition.store,
    vms,
    volumes,
    templates,
    snapshots,
    addImage: async (name, config = {}) => await addImage(layout, composition.store, { name, config }),
    crash: async () => {
      crashed = true;
      await end({ crashing: true });
    },
    async [Symbol.asyncDispose]() {
      if (crashed) return;
      for (const vm of vms.list()) await vms.remove(vm.id, { force: true });
      await end();
      const left = leftovers(home, layout);
      rmSync(home, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`this test leaks: ${left.join(", ")}`);
    },
  };
}

/** What is left of VMs: directories and sockets under the layout, and hypervisors. */
function leftovers(home: string, layout: Layout): string[] {
  const directories = [layout.vmsDir, layout.runtimeDir]
    .filter((dir) => existsSync(dir))
    .flatMap((dir) => readdirSync(dir).filter((name) => /^[0-9a-f]{12}$/.test(name)));
  const processes = hypervisorsOf(home).map((pid) => `process ${pid}`);
  return [...directories, ...processes, ...networkRemains(layout.stateDir)];
}
