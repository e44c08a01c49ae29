/** What the image service takes and tells, as types. */
import type { ImageRecord } from "../store/images.ts";
import type { Damage } from "./verify.ts";

export interface CommittedVm {
  readonly name: string;
  /** Copies its disk to a path; answers with the digest of the image that it was made from. */
  readonly copyDisk: (to: string) => Promise<{ readonly digest: string }>;
}

export interface ImageDetails {
  readonly record: ImageRecord;
  /** All that stand for its content. */
  readonly names: readonly string[];
  /** Names of VMs made from it, at most five. */
  readonly users: readonly string[];
  readonly manifestDigest: string | undefined;
  readonly blobs: readonly { readonly digest: string; readonly sizeBytes: number }[];
  /** False: its content is damaged or gone. */
  readonly usable: boolean;
}

export interface ExplainedDamage extends Damage {
  /** What stands for it. */
  readonly names: readonly string[];
  /** Names of VMs that cannot start. */
  readonly vms: readonly string[];
  readonly cure: string;
}

export interface VerifyReport {
  /** How many images, blobs and kernels were read. */
  readonly checked: number;
  readonly damages: readonly ExplainedDamage[];
}
