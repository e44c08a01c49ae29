/** What a start needs from the images, as a type that both rooms know. */
import type { OnProgress } from "./progress.ts";
import type { ImageConfig } from "./spec.ts";

export interface LongOptions {
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

/** An image that is ready on disk. */
export interface ReadyImage {
  /** sha256 of the root file system, hex. */
  readonly digest: string;
  readonly rootfsPath: string;
  readonly config: ImageConfig;
}

export interface BootFiles {
  readonly kernelPath: string;
  readonly initramfsPath: string;
}

/** Which kernel a VM boots. */
export interface KernelChoice {
  /** Its name; undefined: the default. */
  readonly kernel: string | undefined;
  readonly imageDigest: string;
}

export interface ImageSource {
  /**
   * The image registered under `name`, or a catalog image fetched now. A registered name never asks the catalog.
   * Errors: `not_found`.
   */
  ensure(name: string, options: LongOptions): Promise<ReadyImage>;
  /** The content that a VM was made from. Errors: `failed_precondition` when it is gone. */
  byDigest(digest: string): Promise<ReadyImage>;
  /** Sees to it that the kernel is there. Errors: `not_found`, and those of where it comes from. */
  ensureKernel(choice: KernelChoice, options: LongOptions): Promise<void>;
  /** Kernel and initramfs, made when absent. Errors: as `ensureKernel`. */
  bootFiles(choice: KernelChoice, options: LongOptions): Promise<BootFiles>;
}
