/** The durable record of a snapshot: a point in time of a VM that a user saved. */
import type { VmSpec } from "./spec.ts";

export interface SnapshotRecord {
  /** 12 characters of `0-9 a-f`. */
  readonly id: string;
  readonly name: string;
  /** The VM that it was taken from, which may be gone: its id, and the name that it had. */
  readonly vm: string;
  readonly vmName: string;
  readonly spec: VmSpec;
  /** sha256 of the image's root file system, hex. */
  readonly imageDigest: string;
  /** The snapshot that the VM was made from, by its id; it may be gone. */
  readonly parent: string | undefined;
  /** `machine`: memory, devices and disk. `disk`: the disk alone. */
  readonly kind: "machine" | "disk";
  /** What it takes of the host's disk. */
  readonly sizeBytes: number;
  /** How long the guest stood still for it. */
  readonly pauseMs: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
}
