/** Bodies about what images are, who uses them, and what is wrong with them. */
import type { ImageConfig } from "../../model/spec.ts";
import type { Image } from "./images.ts";

export type { PruneItem } from "../../model/image-prune.ts";

export interface ImageDetails extends Image {
  /** All names of its content. */
  readonly names: readonly string[];
  /** VMs made from it, at most five. */
  readonly vms: readonly string[];
  /** False: its content is damaged or gone. */
  readonly usable: boolean;
  readonly config: ImageConfig;
  /** Of an image that came as an OCI image. */
  readonly manifestDigest?: string | undefined;
  /** Manifest, configuration, layers; 0 bytes: it is gone. */
  readonly blobs: readonly { readonly digest: string; readonly sizeBytes: number }[];
}

export interface TagImage {
  /** The new name. */
  readonly name: string;
}

export interface CommitImage {
  /** A VM: name, id or id prefix. */
  readonly vm: string;
  /** The new image's name. */
  readonly name: string;
}

export interface PruneImages {
  /** Also images that have a name and no VM. */
  readonly all?: boolean | undefined;
  /** Only say what would be removed. */
  readonly dryRun?: boolean | undefined;
}

export interface VerifyReport {
  /** How many images, blobs and kernels were read. */
  readonly checked: number;
  readonly damages: readonly Damage[];
}

export interface Damage {
  readonly kind: "image" | "blob" | "kernel";
  /** The digest. */
  readonly id: string;
  /** What is wrong. */
  readonly problem: string;
  /** Of the images that it concerns. */
  readonly names: readonly string[];
  /** VMs that cannot start. */
  readonly vms: readonly string[];
  /** What to do. */
  readonly cure: string;
}

/** An image that can be made by name. */
export interface CatalogImage {
  readonly name: string;
  readonly description: string;
  /** Whether it was made already. */
  readonly here: boolean;
}
