/** A template as people see it. */

/** A machine that booted an image and was saved, so that VMs like it need not boot. */
export interface SavedTemplate {
  readonly id: string;
  /** The name that the image had. */
  readonly image: string;
  readonly imageDigest: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly driver: string;
  /** The work tree of the host whose setup has run in it; absent: it has only booted. */
  readonly workspace?: string | undefined;
  /** What it takes of the host's disk. */
  readonly sizeBytes: number;
  /** Unix milliseconds, as the next. */
  readonly createdAt: number;
  readonly usedAt: number;
}
