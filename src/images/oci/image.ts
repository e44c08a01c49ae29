/** An image whose every blob lies verified on disk: what a pull and an archive's import hand to the conversion. */
import type { Digest } from "../../model/digest.ts";
import type { OciImageConfig } from "./image-config.ts";

export interface OciImage {
  readonly manifestDigest: Digest;
  readonly config: OciImageConfig;
  /** From the lowest up; as many as the configuration's `diffIds`. */
  readonly layers: readonly LayerBlob[];
}

/** A layer as it was stored. Its bytes have this size and `digest`; that they decompress to `diffId` nobody has checked yet. */
export interface LayerBlob {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly sizeBytes: number;
  /** What the manifest calls it; how it is compressed, its first bytes say better. */
  readonly mediaType: string;
  /** Absolute; content that never changes, the owner's to remove. */
  readonly path: string;
}
