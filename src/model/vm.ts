/** The durable record of a VM, and the states that it can be in. */
import { BangerError, type ErrorBody } from "./errors.ts";
import type { VmSpec } from "./spec.ts";

export const VM_STATES = ["stopped", "starting", "running", "paused", "stopping", "error"] as const;
export type VmState = (typeof VM_STATES)[number];

/** One named step of a start, with its duration. */
export interface StepTiming {
  readonly name: string;
  readonly ms: number;
}

/** What must survive. Live things (pid, sockets) are handles, kept apart. */
export interface VmRecord {
  /** 12 characters of `0-9 a-f`. */
  readonly id: string;
  readonly name: string;
  readonly state: VmState;
  readonly spec: VmSpec;
  /** sha256 of the image's root file system, hex. */
  readonly imageDigest: string;
  /** The guest's address from the plan, reserved with the name for the VM's life. */
  readonly address: string;
  /** True: the VM exists for one `run --rm` and is deleted with it, also by a daemon that finds it without its owner. */
  readonly ephemeral: boolean;
  /** The snapshot that it was made from, by its id; it goes on from there when it starts first. */
  readonly parent: string | undefined;
  /** The driver that runs or last ran it. */
  readonly driver: string | undefined;
  /** The guest kernel's boot id of the present or last run. */
  readonly bootId: string | undefined;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly stoppedAt: number | undefined;
  readonly lastError: ErrorBody | undefined;
  /** What the present or last run was started with; where it differs from `spec`, the next start brings it. */
  readonly startedSpec: VmSpec | undefined;
  /** The steps of the last start. */
  readonly startSteps: readonly StepTiming[];
}

/**
 * A machine that goes on has the disks that it had, as they were: a volume would have two writers, or be of another moment than the
 * memory. Errors: `unsupported` for a VM with volumes.
 */
export function demandNoVolumes({ name, spec }: Pick<VmRecord, "name" | "spec">): void {
  if ((spec.volumes ?? []).length === 0) return;
  throw new BangerError("unsupported", `${name} has volumes, and what runs in it cannot be saved with them`, {
    cure: `save its own disk alone with: banger snapshot create ${name} --disk-only`,
  });
}

/** What a record says of runs when there has been none. */
export const NEVER_STARTED: Pick<
  VmRecord,
  "driver" | "bootId" | "startedAt" | "stoppedAt" | "lastError" | "startedSpec" | "startSteps"
> = {
  driver: undefined,
  bootId: undefined,
  startedAt: undefined,
  stoppedAt: undefined,
  lastError: undefined,
  startedSpec: undefined,
  startSteps: [],
};
