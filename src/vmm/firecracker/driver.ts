/** The Firecracker driver: whether this host can run it, and the life of one Firecracker process. */
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { demandReadable } from "../demand-readable.ts";
import { adoptHypervisor } from "../hypervisor-process.ts";
import type { KvmVerdict } from "../kvm-verdict.ts";
import {
  type Driver,
  type DriverHandles,
  processMarker,
  type ResumeOptions,
  type RunDir,
  type Running,
  type StartOptions,
} from "../port.ts";
import { checkSnapshot } from "../snapshot-files.ts";
import { validateMachine } from "../validate-machine.ts";
import { createVerdictCache, type VerdictCache } from "../verdict-cache.ts";
import { createApiClient } from "./api-client.ts";
import { diskSerials } from "./devices.ts";
import { machineFacts } from "./facts.ts";
import { withLogWords } from "./failure.ts";
import {
  findFirecracker,
  findIsolation,
  type Isolation,
  type JailerWish,
  judgeFirecrackerKvm,
  type ProgramFindings,
} from "./host-findings.ts";
import { jailOwner } from "./jail-paths.ts";
import { createKnocks } from "./knocks.ts";
import { type Prepared, prepareLaunch } from "./launch.ts";
import { jailedPlaces, type Places, placesOf } from "./places.ts";
import { MAX_ID_LENGTH, MAX_VCPUS, type Transport } from "./platform.ts";
import { reportFromFindings } from "./report.ts";
import { configurationRequests, loadRequest, rateRequests, startRequest } from "./requests.ts";
import { createFirecrackerRunning } from "./running.ts";
import { noSnapshots } from "./save.ts";
import { type Started, startFirecracker } from "./start.ts";

/** Reading a state file, and mapping a memory file. */
const LOAD_TIMEOUT_MS = 60_000;

export interface FirecrackerDriverOptions {
  /** Where findings about this host are kept between runs. May be deleted at any time. */
  readonly verdictCachePath: string;
  /** Where jails are made, absolute. Best on the file system of images and disks, so that files can be linked into them. */
  readonly chrootBase: string;
  /** Name or path (default `firecracker`). */
  readonly binary?: string;
  /** Name or path (default `jailer`). */
  readonly jailerBinary?: string;
  /** Default `auto`. */
  readonly jailer?: JailerWish;
  /** How devices are attached (default `mmio`); `pci` needs Firecracker 1.13.0. */
  readonly transport?: Transport;
  /** Skips the question and uses this answer. Default: the verdict of a test guest. */
  readonly kvm?: KvmVerdict;
  /** Whether there can be jails. Default: whether this process is root. */
  readonly isRoot?: boolean;
  /** How long the API socket may take to appear (default 10 s). */
  readonly socketTimeoutMs?: number;
}

export function createFirecrackerDriver(options: FirecrackerDriverOptions): Driver {
  return new FirecrackerDriver(options);
}

interface Findings {
  readonly program: ProgramFindings;
  readonly isolation: Isolation;
  readonly transport: Transport;
}

class FirecrackerDriver implements Driver {
  readonly name = "firecracker";
  private readonly options: FirecrackerDriverOptions;
  private readonly cache: VerdictCache;

  constructor(options: FirecrackerDriverOptions) {
    this.options = options;
    this.cache = createVerdictCache(options.verdictCachePath);
  }

  async probe(): ReturnType<Driver["probe"]> {
    try {
      const { program: findings, isolation, transport } = await this.inspect();
      const kvm = this.options.kvm ?? (await judgeFirecrackerKvm(findings.program, this.cache));
      return reportFromFindings({ findings, kvm, isolation, transport });
    } catch (error) {
      const { message, cure } = BangerError.from(error);
      return { available: false, driver: this.name, reason: message, cure: cure ?? "see banger doctor" };
    }
  }

  async start(machine: Machine, dir: RunDir, options: StartOptions = {}): Promise<Running> {
    const findings = await this.check(machine);
    for (const path of [machine.kernelPath, machine.initramfsPath]) demandReadable(path);
    const serials = diskSerials(machine.disks);
    const prepared = await prepareLaunch(machine, dir, { ...findings, chrootBase: this.options.chrootBase });
    const { transport, program } = findings;
    const input = { places: prepared.launch.places, transport, features: program.features, serials };
    return await this.launch(machine, prepared, {
      first: configurationRequests(machine, input),
      last: startRequest,
      ...options,
      signal: options.signal,
    });
  }

  async resume(
    machine: Machine,
    snapshotDir: string,
    dir: RunDir,
    { whole, ...options }: ResumeOptions = {},
  ): Promise<Running> {
    await whole;
    const findings = await this.check(machine);
    const { features, version } = findings.program;
    if (!features.snapshot) throw noSnapshots();
    const facts = machineFacts(machine, { version, transport: findings.transport });
    checkSnapshot(snapshotDir, this.name, facts);
    const prepared = await prepareLaunch(machine, dir, {
      ...findings,
      chrootBase: this.options.chrootBase,
      snapshotDir,
    });
    return await this.launch(machine, prepared, {
      first: [],
      last: loadRequest(machine, { places: prepared.launch.places, features, snapshotDir }),
      after: rateRequests(machine),
      lastTimeoutMs: LOAD_TIMEOUT_MS,
      ...options,
      signal: options.signal,
    });
  }

  async adopt(handles: DriverHandles, dir: RunDir): Promise<Running | undefined> {
    if (handles.driver !== this.name) return undefined;
    const { api, agent } = handles.sockets;
    if (api === undefined || agent === undefined) return undefined;
    const places = placesOf(dir).api.host === api ? placesOf(dir) : jailedPlaces(dir, dirname(api));
    const process = await adoptHypervisor({
      handle: handles.process,
      marker: processMarker(handles.machineId),
      logPath: places.errorsPath,
    });
    if (process === undefined) return undefined;
    return this.running(handles.machineId, places, {
      process: withLogWords(process, places),
      api: createApiClient(api),
      knocks: createKnocks(),
    });
  }

  private async launch(
    machine: Machine,
    prepared: Prepared,
    input: Omit<Parameters<typeof startFirecracker>[1], "launch">,
  ): Promise<Running> {
    const { launch } = prepared;
    const { socketTimeoutMs } = this.options;
    closeSync(openSync(machine.consolePath, "a", 0o600));
    try {
      const started = await startFirecracker(machine, {
        launch,
        ...input,
        ...(socketTimeoutMs === undefined ? {} : { socketTimeoutMs }),
      });
      return this.running(machine.id, launch.places, started);
    } catch (error) {
      await prepared.undo();
      throw error;
    }
  }

  private running(machineId: string, places: Places, parts: Started): Running {
    const isJailed = places.api.host !== places.api.inside;
    const jail = { root: dirname(places.api.host), owner: jailOwner(machineId) };
    return createFirecrackerRunning(machineId, {
      ...parts,
      sockets: { api: places.api.host, agent: places.agent.host },
      logs: [places.log.host, places.metrics.host],
      jail: isJailed ? jail : undefined,
    });
  }

  private async check(machine: Machine): Promise<Findings> {
    validateMachine(machine);
    demand(
      machine.vcpus <= MAX_VCPUS,
      `Firecracker has at most ${MAX_VCPUS} vCPUs, not ${machine.vcpus}`,
      "vcpus",
    );
    demand(processMarker(machine.id).length <= MAX_ID_LENGTH, `the id ${machine.id} is too long`, "id");
    return await this.inspect();
  }

  private async inspect(): Promise<Findings> {
    const { jailer = "auto", jailerBinary = "jailer", transport = "mmio" } = this.options;
    const program = await findFirecracker(this.options.binary ?? "firecracker", this.cache);
    if (transport === "pci" && !program.features.pci) {
      throw new BangerError(
        "unavailable",
        `PCI needs Firecracker 1.13.0 or newer; this is ${program.version}`,
        {
          cure: 'set vmm.firecracker.transport to "mmio"',
        },
      );
    }
    const isolation = await findIsolation({
      wish: jailer,
      jailer: jailerBinary,
      findings: program,
      cache: this.cache,
      isRoot: this.options.isRoot ?? process.geteuid?.() === 0,
    });
    return { program, isolation, transport };
  }
}

function demand(condition: boolean, message: string, field: string): void {
  if (!condition) throw new BangerError("invalid_argument", message, { details: { field } });
}
