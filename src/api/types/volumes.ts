/** Bodies about volumes. */

/** A disk that outlives VMs. */
export interface Volume {
  readonly name: string;
  readonly sizeBytes: number;
  /** What it takes of the host's disk. */
  readonly storedBytes: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** The VMs that name it, running or not. */
  readonly vms: readonly string[];
}
