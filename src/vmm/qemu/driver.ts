/** The QEMU driver: which QEMU and which accelerator this host has, and the life of one QEMU process. */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../lib/run-program.ts";
import { openTap } from "../../lib/tap.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { adoptHypervisor, type HypervisorProcess } from "../hypervisor-process.ts";
import {
  type Driver,
  type DriverHandles,
  processMarker,
  type ResumeOptions,
  type RunDir,
  type Running,
  type StartOptions,
} from "../port.ts";
import { checkSnapshot, type SnapshotFiles, snapshotFiles } from "../snapshot-files.ts";
import { validateMachine } from "../validate-machine.ts";
import { createVerdictCache } from "../verdict-cache.ts";
import { machineFacts } from "./facts.ts";
import { type HostFindings, inspectHost } from "./host-findings.ts";
import type { QemuAccelerator } from "./platform.ts";
import { reportFromFindings } from "./report.ts";
import { createQemuRunning, type QemuSockets } from "./running.ts";
import { type OpenTap, startQemu } from "./start.ts";

export interface QemuDriverOptions {
  /** Where findings about this host are kept between runs. May be deleted at any time. */
  readonly verdictCachePath: string;
  /** Name or path (default `qemu-system-x86_64`). */
  readonly binary?: string;
  /** Skips the question and uses this one. Default: KVM where it works, else emulation. */
  readonly accelerator?: QemuAccelerator;
  /** Default: as root does it, in this process's own thread. */
  readonly openTap?: OpenTap | undefined;
}

export function createQemuDriver(options: QemuDriverOptions): Driver {
  return new QemuDriver(options);
}

class QemuDriver implements Driver {
  readonly name = "qemu";
  private readonly options: QemuDriverOptions;
  private readonly openTap: OpenTap;

  constructor(options: QemuDriverOptions) {
    this.options = options;
    this.openTap = options.openTap ?? (async (netns, tap) => openTap(netns, tap));
  }

  async probe(): ReturnType<Driver["probe"]> {
    try {
      return reportFromFindings(await this.inspect());
    } catch (error) {
      const { message, cure } = BangerError.from(error);
      return { available: false, driver: this.name, reason: message, cure: cure ?? "see banger doctor" };
    }
  }

  async start(machine: Machine, dir: RunDir, options: StartOptions = {}): Promise<Running> {
    validateMachine(machine);
    return await launch(machine, dir, { ...(await this.inspect()), openTap: this.openTap, ...options });
  }

  async resume(
    machine: Machine,
    snapshotDir: string,
    dir: RunDir,
    options: ResumeOptions = {},
  ): Promise<Running> {
    validateMachine(machine);
    const findings = await this.inspect();
    checkSnapshot(snapshotDir, this.name, machineFacts(machine, findings));
    return await launch(machine, dir, {
      ...findings,
      openTap: this.openTap,
      ...options,
      snapshot: snapshotFiles(snapshotDir),
    });
  }

  async adopt(handles: DriverHandles, dir: RunDir): Promise<Running | undefined> {
    if (handles.driver !== this.name) return undefined;
    const process = await adoptHypervisor({
      handle: handles.process,
      marker: processMarker(handles.machineId),
      logPath: logPath(dir),
    });
    if (process === undefined) return undefined;
    return createQemuRunning(handles.machineId, {
      process,
      sockets: { ...qemuSockets(dir), ...handles.sockets },
    });
  }

  private inspect(): Promise<HostFindings> {
    return inspectHost({
      program: this.findBinary(),
      cache: createVerdictCache(this.options.verdictCachePath),
      accelerator: this.options.accelerator,
    });
  }

  private findBinary(): string {
    const name = this.options.binary ?? "qemu-system-x86_64";
    const path = findProgram(name);
    if (path !== undefined) return path;
    throw new BangerError("unavailable", `the program ${name} is not installed`, {
      cure: "apt-get install qemu-system-x86",
      details: { program: name },
    });
  }
}

interface LaunchOptions extends ResumeOptions, Pick<HostFindings, "program" | "accelerator"> {
  readonly openTap: OpenTap;
  readonly snapshot?: SnapshotFiles;
}

async function launch(machine: Machine, dir: RunDir, options: LaunchOptions): Promise<Running> {
  const { program, accelerator, openTap, snapshot, signal, spawned, whole, reachable } = options;
  closeSync(openSync(machine.consolePath, "a", 0o600));
  const sockets = qemuSockets(dir);
  let known: Running | undefined;
  const runningOf = (process: HypervisorProcess): Running =>
    (known ??= createQemuRunning(machine.id, { process, sockets }));
  const process = await startQemu(machine, {
    program,
    accelerator,
    sockets,
    logPath: logPath(dir),
    openTap,
    ...(snapshot === undefined ? {} : { snapshot }),
    signal,
    ...(spawned === undefined ? {} : { spawned }),
    whole,
    reachable: (process) => reachable?.(runningOf(process)),
  });
  return runningOf(process);
}

function qemuSockets(dir: RunDir): QemuSockets {
  return { qmp: join(dir.runtimeDir, "qmp.sock"), agent: join(dir.runtimeDir, "agent.sock") };
}

function logPath(dir: RunDir): string {
  return join(dir.stateDir, "qemu.log");
}
