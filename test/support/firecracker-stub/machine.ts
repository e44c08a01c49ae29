/** The simulated microVM: which calls its state allows, and what each does. */
import type { CheckedRequest } from "./check.ts";
import { configure } from "./configure.ts";
import { createGuest, type Guest } from "./guest.ts";
import type { Answer } from "./http-answer.ts";
import { createMachineConfig, exportedConfig, type MachineConfig } from "./machine-config.ts";
import type { Operation } from "./operations.ts";
import { Outputs } from "./outputs.ts";
import type { StubPlan } from "./plan.ts";
import type { Recorder } from "./record.ts";
import { violation } from "./refusal.ts";
import { createSnapshot, loadSnapshot } from "./snapshot.ts";
import { VsockDevice } from "./vsock.ts";

export type State = "Not started" | "Running" | "Paused";

export interface MachineInput {
  readonly plan: StubPlan;
  readonly record: Recorder;
  readonly id: string;
  /** Turns a path of a request into one of this host. */
  readonly toHost: (path: string) => string;
}

const NO_CONTENT: Answer = { status: 204 };

export class Machine {
  readonly input: MachineInput;
  readonly config: MachineConfig = createMachineConfig();
  readonly outputs: Outputs;
  readonly vsock: VsockDevice;
  /** Resolves when the guest has powered itself off. */
  readonly off: PromiseWithResolvers<void> = Promise.withResolvers();
  private state: State = "Not started";
  private bootPath = false;
  private guest: Guest | undefined;

  constructor(input: MachineInput) {
    this.input = input;
    this.outputs = new Outputs(input.id);
    this.vsock = new VsockDevice(input.record, input.plan);
  }

  /** Throws a Refusal. */
  async apply(request: CheckedRequest): Promise<Answer> {
    const { operation } = request;
    this.demandOrder(operation);
    if (operation.boots === true) this.bootPath = true;
    if (operation.method === "GET") return { status: 200, body: this.read(operation) };
    switch (operation.path) {
      case "/actions":
        return this.act(request.body["action_type"]);
      case "/vm":
        return this.setState(request.body["state"]);
      case "/snapshot/create":
        if (this.state !== "Paused") throw violation(NOT_PAUSED);
        createSnapshot(this, request.body);
        return NO_CONTENT;
      case "/snapshot/load":
        return await this.load(request.body);
      default:
        await configure(this, request);
        return { ...NO_CONTENT, deprecated: request.body["vsock_id"] !== undefined };
    }
  }

  /** Ends what it started; the process ends next. */
  kill(): void {
    this.guest?.kill();
  }

  private demandOrder({ when, path }: Operation): void {
    if (when === "before start" && this.state !== "Not started")
      throw violation(HOT_PLUGGED.includes(path) ? "PCI is not enabled" : AFTER_START);
    if (when === "after start" && this.state === "Not started") throw violation(BEFORE_START);
  }

  private read(operation: Operation): unknown {
    const { version } = this.input.plan;
    switch (operation.path) {
      case "/":
        return { id: this.input.id, state: this.state, vmm_version: version, app_name: "Firecracker" };
      case "/version":
        return { firecracker_version: version };
      case "/machine-config":
        return this.config.machine;
      case "/vm/config":
        return exportedConfig(this.config);
      case "/balloon":
        if (this.config.balloon === undefined)
          throw violation("Balloon config error: No balloon device found.");
        return this.config.balloon;
      case "/balloon/statistics":
        if (this.config.balloon === undefined)
          throw violation("Internal VMM error: No balloon device found.");
        return { target_pages: 0, actual_pages: 0, target_mib: 0, actual_mib: 0 };
      default:
        throw new Error(`nothing is known about GET ${operation.path}`);
    }
  }

  private act(action: unknown): Answer {
    if (action === "InstanceStart") {
      if (this.state !== "Not started") throw violation(AFTER_START);
      if (this.config.bootSource === undefined)
        throw violation("Start microvm error: Cannot start microvm without kernel configuration.");
      this.boot("Running");
      return NO_CONTENT;
    }
    if (this.state === "Not started") throw violation(BEFORE_START);
    if (action === "FlushMetrics") this.outputs.flushMetrics();
    else this.guest?.shutdown();
    return NO_CONTENT;
  }

  private setState(state: unknown): Answer {
    if (state === "Paused") this.pause();
    else this.resume();
    return NO_CONTENT;
  }

  private async load(body: Readonly<Record<string, unknown>>): Promise<Answer> {
    if (this.bootPath)
      throw violation(
        "Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.",
      );
    const deprecated = await loadSnapshot(this, body);
    this.boot("Paused");
    if (body["resume_vm"] === true) this.resume();
    return { ...NO_CONTENT, deprecated };
  }

  private boot(state: "Running" | "Paused"): void {
    if (this.config.serialPath !== undefined) this.outputs.serialTo(this.config.serialPath);
    this.outputs.serial(`stub guest: ${state === "Running" ? "booting" : "restored"}\r\n`);
    const guest = createGuest(this.input.plan);
    this.guest = guest;
    this.vsock.start(guest, { restored: state === "Paused" });
    this.state = "Running";
    if (state === "Paused") this.pause();
    void guest.off.then(() => {
      this.outputs.serial("stub guest: reboot: Power down\r\n");
      this.off.resolve();
    });
  }

  private pause(): void {
    this.state = "Paused";
    this.vsock.pause();
    this.guest?.pause();
  }

  private resume(): void {
    this.state = "Running";
    this.guest?.resume();
    this.vsock.resume();
  }
}

/** The program plugs these into a started machine, in its PCI mode only; the stub never does. */
const HOT_PLUGGED: readonly string[] = ["/drives/{drive_id}", "/network-interfaces/{iface_id}"];
const AFTER_START = "The requested operation is not supported after starting the microVM.";
const BEFORE_START = "The requested operation is not supported before starting the microVM.";
const NOT_PAUSED =
  "Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore unavailable while running";
