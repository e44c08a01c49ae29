/** Bodies about snapshots and forks. */
import type { VmSpec } from "../../model/spec.ts";
import type { Vm } from "./vms.ts";

/** A point in time of a VM that was saved. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** The id of the VM that it was taken from, which may be gone. */
  readonly vm: string;
  readonly vmName: string;
  readonly spec: VmSpec;
  readonly imageDigest: string;
  /** The id of the snapshot that the VM was made from. */
  readonly parent?: string | undefined;
  /** `machine`: memory, devices and disk; `disk`: the disk alone. */
  readonly kind: "machine" | "disk";
  /** What it takes of the host's disk. */
  readonly sizeBytes: number;
  /** How long the guest stood still for it. */
  readonly pauseMs: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

export interface CreateSnapshot {
  /** Absent: the VM's name and a number. */
  readonly name?: string | undefined;
  /** Save the disk alone, also of a running VM. */
  readonly diskOnly?: boolean | undefined;
}

export interface RestoreVm {
  /** A snapshot of the VM, by name or id. */
  readonly snapshot: string;
}

export interface ForkVm {
  /** How many; default 1. */
  readonly count?: number | undefined;
  /** The children are PREFIX-1, PREFIX-2, …; default: the parent's name. */
  readonly prefix?: string | undefined;
}

export interface Forks {
  readonly vms: readonly Vm[];
  /** How long the parent stood still. */
  readonly pauseMs: number;
}
