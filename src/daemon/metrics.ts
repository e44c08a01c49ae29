/** What the daemon counts, as Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { ErrorCode } from "../model/errors.ts";
import { VM_STATES, type VmState } from "../model/vm.ts";

/** Seconds; a warm file system call to a boot under emulation. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 120];

export class Metrics {
  readonly #registry = new Registry();
  readonly #steps = new Histogram({
    name: "banger_step_seconds",
    help: "Duration of the named steps of operations",
    labelNames: ["operation", "step"],
    buckets: BUCKETS,
    registers: [this.#registry],
  });
  readonly #failures = new Counter({
    name: "banger_failures_total",
    help: "Refused and failed operations by error code",
    labelNames: ["route", "code"],
    registers: [this.#registry],
  });
  readonly #bytes = new Counter({
    name: "banger_stream_bytes_total",
    help: "Bytes of guest commands that passed through, by stream",
    labelNames: ["stream"],
    registers: [this.#registry],
  });

  /** `countStates` says how many VMs are in each state; asked when the text is. */
  constructor(countStates: () => Readonly<Partial<Record<VmState, number>>>) {
    const memory: Gauge = new Gauge({
      name: "banger_daemon_resident_bytes",
      help: "Resident memory of the daemon",
      registers: [this.#registry],
      collect: (): void => memory.set(process.memoryUsage.rss()),
    });
    const vms: Gauge<"state"> = new Gauge({
      name: "banger_vms",
      help: "VMs by state",
      labelNames: ["state"],
      registers: [this.#registry],
      collect: (): void => {
        const counts = countStates();
        for (const state of VM_STATES) vms.set({ state }, counts[state] ?? 0);
      },
    });
  }

  step(operation: string, step: string, ms: number): void {
    this.#steps.observe({ operation, step }, ms / 1000);
  }

  failure(route: string, code: ErrorCode): void {
    this.#failures.inc({ route, code });
  }

  bytes(stream: "stdin" | "stdout" | "stderr", count: number): void {
    this.#bytes.inc({ stream }, count);
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }
}
