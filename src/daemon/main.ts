/** The daemon's process: one per user and BANGER_HOME. It says `ready` only when it can serve. */
import { closeSync, rmSync, writeSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { type LoadedConfig, loadConfig } from "../host/config.ts";
import { createLayout, findLayout, type Layout } from "../host/layout.ts";
import { waitForFileLock } from "../lib/file-lock.ts";
import { BangerError } from "../model/errors.ts";
import type { ComposeOptions } from "./compose/options.ts";
import { type Composition, compose } from "./compose.ts";
import { createFileLog } from "./log.ts";
import { demandDatabase } from "./lost-database.ts";
import { serve } from "./server.ts";
import { type Part, shutDown } from "./shut-down.ts";
import { becomeTheDaemon } from "./single.ts";
import { demandSocketPlace } from "./socket-place.ts";

export interface DaemonOptions
  extends Partial<
    Pick<
      ComposeOptions,
      "self" | "drivers" | "bootFiles" | "bootDeadlineMs" | "onStep" | "capabilities" | "templateQuietMs"
    >
  > {
  readonly version: string;
  /** Of a binary: what it was made of. */
  readonly build?: string | undefined;
  readonly agentPath: string;
  /** The descriptor on which whoever started the daemon waits for one line: `ready`, or an error as JSON. */
  readonly readyFd?: number | undefined;
}

/** Runs until it is told to stop; then the process ends. A second daemon ends at once, and well, when the first one serves. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  try {
    await start(options);
  } catch (thrown) {
    const error = BangerError.from(thrown);
    report(options, JSON.stringify(error.toBody()));
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

async function start(options: DaemonOptions): Promise<void> {
  const uid = process.getuid?.() ?? 0;
  const layout = findLayout(process.env, uid);
  createLayout(layout, uid);
  demandSocketPlace(layout.socket);
  process.chdir("/");
  // Whoever comes second waits here until the first is ready, and then finds the daemon's lock taken.
  using _starting = waitForFileLock(layout.startLock);
  if (!(await becomeTheDaemon(layout, options))) {
    report(options, "ready");
    process.exit(0);
  }
  demandDatabase(layout);
  const config = loadHostConfig(layout);
  const log = createFileLog(layout.daemonLog, config.values.logLevel);
  const stopping = Promise.withResolvers<string>();
  const composition = compose({
    ...options,
    layout,
    config,
    reloadConfig: () => loadHostConfig(layout),
    log,
    requestStop: () => setTimeout(() => stopping.resolve("asked to"), 50),
  });
  const { services, drivers, store } = composition;
  await services.vms.reconcile();
  await services.volumes.sweep();
  await composition.recoverNetwork();
  serve(layout.socket, services);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stopping.resolve(signal));
  process.on("SIGHUP", () => log.info("SIGHUP ignored"));
  process.on("uncaughtException", (error) => log.fatal({ err: error }, "uncaught exception"));
  process.on("unhandledRejection", (error) => log.fatal({ err: error }, "unhandled rejection"));
  log.info({ version: options.version, socket: layout.socket }, "serving");
  report(options, "ready");
  // Which images are needed, a snapshot that is taken back has a say in.
  services.snapshots
    .sweep()
    .then(async () => await services.images.sweep())
    .catch((error: unknown) => log.warn({ err: error }, "sweeping images failed"));
  services.workspaces
    .sweep()
    .catch((error: unknown) => log.warn({ err: error }, "sweeping workspaces failed"));
  void services.templates.shelf.sweep((digest) => store.images.byDigest(digest).length > 0);
  services.vms.pool.refill();
  // The first start of a VM then finds the verdict there.
  drivers.choose().catch((error: unknown) => log.warn({ err: error }, "no hypervisor can run here"));
  void stopping.promise.then(async (why) => {
    const isWell = await shutDown(partsOf(layout, composition, why), { log });
    // Connections close with the process: who sees its own closed knows that the daemon is gone.
    process.exit(isWell ? 0 : 1);
  });
}

/** In the order in which they end. */
function partsOf(layout: Layout, { services }: Composition, why: string): readonly (readonly Part[])[] {
  const { templates, vms, network, log } = services;
  return [
    [{ what: "the log", end: () => log.info({ why }, "stopping; running VMs live on") }],
    [{ what: "the socket", end: () => rmSync(layout.socket, { force: true }) }],
    [
      { what: "the making of templates", end: () => templates.stop() },
      { what: "the warm pool", end: () => vms.pool.stop() },
    ],
    [{ what: "the channels to guests", end: () => vms.detach() }],
    [{ what: "the network", end: () => network.network.close() }],
  ];
}

function loadHostConfig(layout: Layout): LoadedConfig {
  const host = { cores: availableParallelism(), memoryMib: totalmem() / 2 ** 20 };
  return loadConfig({ path: layout.configFile, env: process.env, host });
}

/** Tells the starter, when there is one. */
function report({ readyFd }: DaemonOptions, line: string): void {
  if (readyFd === undefined) return;
  try {
    writeSync(readyFd, `${line}\n`);
    closeSync(readyFd);
  } catch (error) {
    // EPIPE: the starter was interrupted and no longer waits.
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  }
}
