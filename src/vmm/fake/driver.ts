/**
 * A driver without a hypervisor, for tests of everything above the port. Its machine is a real process that serves the
 * agent channel, so that adopting, killing and crashing are real; it passes the same contract as every other driver.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { abortError } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { demandReadable } from "../demand-readable.ts";
import { adoptHypervisor } from "../hypervisor-process.ts";
import {
  type Driver,
  type DriverHandles,
  type DriverReport,
  type Features,
  processMarker,
  type ResumeOptions,
  type RunDir,
  type Running,
  type StartOptions,
} from "../port.ts";
import { checkSnapshot, machineFacts } from "../snapshot-files.ts";
import { validateMachine } from "../validate-machine.ts";
import { echoProgram, type FakeProgram, garbageProgram, quitterProgram, silentProgram } from "./programs.ts";
import { createFakeRunning } from "./running.ts";
import { demandState, writeShape } from "./snapshot.ts";
import { startFake } from "./start.ts";

/**
 * `fail-start`: no process comes to be. `exit-at-once`: it ends before it is ready. `never-answer`: the channel
 * connects and stays silent. `garbage`: the channel carries noise and closes.
 */
export type Fault = "fail-start" | "exit-at-once" | "never-answer" | "garbage";

export interface FakeDriverOptions {
  /** What runs instead of a hypervisor (default: an echo). */
  readonly program?: FakeProgram;
  /** Asked at each start: what shall go wrong with this machine. */
  readonly faults?: (machine: Machine) => Fault | undefined;
  readonly features?: Partial<Features>;
}

export function createFakeDriver(options: FakeDriverOptions = {}): Driver {
  return new FakeDriver(options);
}

class FakeDriver implements Driver {
  readonly name = "fake";
  private readonly options: FakeDriverOptions;

  constructor(options: FakeDriverOptions) {
    this.options = options;
  }

  probe(): Promise<DriverReport> {
    return Promise.resolve({
      available: true,
      driver: this.name,
      version: "1.0.0",
      accelerator: "fake",
      machineType: "process",
      features: {
        pause: true,
        snapshot: true,
        nics: false,
        openedNics: true,
        nicRate: true,
        tun: false,
        ...this.options.features,
      },
      snapshotKey: "fake",
      notes: [],
    });
  }

  async start(machine: Machine, dir: RunDir, options: StartOptions = {}): Promise<Running> {
    return await this.launch(machine, dir, { ...options, resumed: false });
  }

  /** A new process that has nothing of the old one but its shape: what ran in the guest does not go on. */
  async resume(
    machine: Machine,
    snapshotDir: string,
    dir: RunDir,
    { whole, ...options }: ResumeOptions = {},
  ): Promise<Running> {
    validateMachine(machine);
    await whole;
    checkSnapshot(snapshotDir, this.name, machineFacts(machine));
    demandState(snapshotDir);
    return await this.launch(machine, dir, { ...options, resumed: true });
  }

  private async launch(
    machine: Machine,
    dir: RunDir,
    options: StartOptions & { readonly resumed: boolean },
  ): Promise<Running> {
    validateMachine(machine);
    if (options.signal?.aborted === true) throw abortError(options.signal);
    const fault = this.options.faults?.(machine);
    if (fault === "fail-start") throw new BangerError("unavailable", "the fake hypervisor was told to fail");
    const disks = machine.disks.map((disk) => disk.path);
    for (const path of [machine.kernelPath, machine.initramfsPath, ...disks]) demandReadable(path);
    appendFileSync(machine.consolePath, `fake machine ${machine.id}\n`, { mode: 0o600 });

    const [channelPath, shapePath] = [agentSocket(dir), shapeFile(dir)];
    writeShape(shapePath, machine);
    const process = await startFake(machine, {
      program: this.programFor(fault),
      channelPath,
      logPath: logPath(dir),
      resumed: options.resumed,
      endsAtOnce: fault === "exit-at-once",
      signal: options.signal,
      ...(options.spawned === undefined ? {} : { spawned: options.spawned }),
    });
    return createFakeRunning(machine.id, { process, channelPath, shapePath });
  }

  async adopt(handles: DriverHandles, dir: RunDir): Promise<Running | undefined> {
    if (handles.driver !== this.name) return undefined;
    const process = await adoptHypervisor({
      handle: handles.process,
      marker: processMarker(handles.machineId),
      logPath: logPath(dir),
    });
    if (process === undefined) return undefined;
    return createFakeRunning(handles.machineId, {
      process,
      channelPath: handles.sockets["agent"] ?? agentSocket(dir),
      shapePath: shapeFile(dir),
    });
  }

  private programFor(fault: Exclude<Fault, "fail-start"> | undefined): FakeProgram {
    switch (fault) {
      case "exit-at-once":
        return quitterProgram;
      case "never-answer":
        return silentProgram;
      case "garbage":
        return garbageProgram;
      case undefined:
        return this.options.program ?? echoProgram;
    }
  }
}

function agentSocket(dir: RunDir): string {
  return join(dir.runtimeDir, "agent.sock");
}

function shapeFile(dir: RunDir): string {
  return join(dir.stateDir, "fake-shape.json");
}

function logPath(dir: RunDir): string {
  return join(dir.stateDir, "fake.log");
}
