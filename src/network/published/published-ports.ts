/** All published ports of this daemon. The records say what is wanted; what listens belongs to this process and goes with it. */
import type { AgentStream, StreamHandlers } from "../../guest/stream.ts";
import type { Clock } from "../../lib/clock.ts";
import type { VmChange } from "../../model/capability.ts";
import { BangerError } from "../../model/errors.ts";
import { formatHostPort, type PublishedPort, samePort } from "../../model/published-port.ts";
import type { VmSpec } from "../../model/spec.ts";
import type { VmRecord } from "../../model/vm.ts";
import { HELD_MS } from "./limits.ts";
import { probePort } from "./listen.ts";
import type { Routed } from "./route.ts";
import { type GuestPort, VmPorts } from "./vm-ports.ts";

export interface PublishedPortsOptions {
  readonly clock: Clock;
  /** Connects in a VM that runs. */
  readonly dial: (id: string, target: GuestPort, handlers: StreamHandlers) => Promise<AgentStream>;
  /** Connects to the guest's address, where there is a route. Errors: those of `dial`. */
  readonly route: (id: string, port: number) => Promise<Routed>;
  readonly onProblem: (id: string, message: string, error?: BangerError) => void;
  /** One connection broke, or was refused in the guest. */
  readonly onBroken: (id: string, message: string, error: BangerError) => void;
  readonly onStep: (step: string) => void;
}

export class PublishedPorts implements Disposable {
  readonly #options: PublishedPortsOptions;
  /** By the ids of the VMs that are up, or about to be. */
  readonly #vms = new Map<string, VmPorts>();

  constructor(options: PublishedPortsOptions) {
    this.#options = options;
  }

  /** Why ports of this VM that should be published are not. */
  problems(id: string): readonly string[] {
    return this.#vms.get(id)?.problems ?? [];
  }

  /**
   * Chooses where any free port is asked for, and refuses a port that cannot be had; ports that are in `before`, too, are not looked at.
   * Errors: `already_exists`, `permission_denied`, `invalid_argument`.
   */
  async settle(spec: VmSpec, before: readonly PublishedPort[]): Promise<VmSpec> {
    if (spec.ports === undefined) return spec;
    const ports: PublishedPort[] = [];
    for (const port of spec.ports) {
      ports.push(before.some((other) => samePort(port, other)) ? port : await probePort(port));
    }
    return { ...spec, ports };
  }

  /** Looks whether all ports of a VM that is not up can be had. Errors: as `settle`. */
  async check({ spec }: VmRecord): Promise<void> {
    await this.settle(spec, []);
  }

  /** Listens for a VM that is about to start, until `close`. Who connects now waits until it runs. Errors: as `settle`. */
  async prepare(vm: VmRecord): Promise<void> {
    const ports = this.#of(vm.id);
    for (const port of vm.spec.ports ?? []) {
      this.#options.onStep("ports:listen");
      await ports.add(port);
    }
  }

  /**
   * Listens for a VM that an earlier daemon left running. Who connects now waits until it is `reachable` or ended, and no longer than
   * HELD_MS. Ports that are taken now are noted and left. Never throws.
   */
  async adopt(vm: VmRecord): Promise<void> {
    await this.#addWhatCanBeHad(vm, this.#of(vm.id, HELD_MS));
  }

  /** A VM runs: connections are let through. Ports that were taken when it was adopted are tried again. Never throws. */
  async reachable(vm: VmRecord): Promise<void> {
    const ports = this.#of(vm.id);
    await this.#addWhatCanBeHad(vm, ports);
    ports.open();
  }

  async #addWhatCanBeHad(vm: VmRecord, ports: VmPorts): Promise<void> {
    for (const port of vm.spec.ports ?? []) {
      this.#options.onStep("ports:listen");
      try {
        await ports.add(port);
      } catch (thrown) {
        this.#options.onProblem(vm.id, `${formatHostPort(port)} is not published`, BangerError.from(thrown));
      }
    }
  }

  /** Makes what listens what the record of a VM that is up says. Errors: as `settle`; all is as it was before then. */
  async sync({ before, after }: VmChange): Promise<void> {
    const ports = this.#vms.get(after.id);
    if (ports === undefined) return;
    try {
      for (const port of after.spec.ports ?? []) {
        this.#options.onStep("ports:listen");
        await ports.add(port);
      }
    } catch (error) {
      ports.keepOnly(before.spec.ports ?? []);
      throw error;
    }
    this.#options.onStep("ports:close");
    ports.keepOnly(after.spec.ports ?? []);
  }

  /** Ends everything of a VM. Safe to repeat. */
  close(id: string): void {
    this.#vms.get(id)?.close();
    this.#vms.delete(id);
  }

  /** Lets go of all ports; the VMs live on. */
  [Symbol.dispose](): void {
    for (const id of this.#vms.keys()) this.close(id);
  }

  #of(id: string, heldMs?: number): VmPorts {
    const known = this.#vms.get(id);
    if (known !== undefined) return known;
    const { clock, dial, route, onProblem, onBroken } = this.#options;
    const ports = new VmPorts({
      clock,
      heldMs,
      dial: (target, handlers) => dial(id, target, handlers),
      route: (port) => route(id, port),
      onProblem: (message, error) => onProblem(id, message, error),
      onBroken: (message, error) => onBroken(id, message, error),
    });
    this.#vms.set(id, ports);
    return ports;
  }
}
