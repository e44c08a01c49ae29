/** The bounds that hostile archives meet, each with the configuration key that moves it. */
import { BangerError } from "../../model/errors.ts";

export interface ImageLimits {
  /** Of all layers together. */
  readonly maxEntries: number;
  /** Uncompressed, of all layers together; a sparse file counts with its holes. */
  readonly maxBytes: number;
  /** Uncompressed bytes for each compressed one, of a layer larger than `RATIO_GRACE_BYTES`. */
  readonly maxRatio: number;
  /** Of one name or link target. */
  readonly maxPathBytes: number;
  /** Of all extended attributes of one entry, names and values. */
  readonly maxXattrBytes: number;
}

export const DEFAULT_LIMITS: ImageLimits = {
  maxEntries: 500_000,
  maxBytes: 64 * 1024 ** 3,
  maxRatio: 1000,
  maxPathBytes: 4096,
  maxXattrBytes: 128 * 1024,
};

/** Up to here any ratio is fine: a file of zeros compresses a thousandfold and harms nobody while it is small. */
export const RATIO_GRACE_BYTES: number = 256 * 1024 ** 2;

/** Bytes of names and link targets for each entry that an image may have, on the average. */
const NAME_BYTES_PER_ENTRY = 256;

const KEYS: { readonly [K in keyof ImageLimits]: string } = {
  maxEntries: "images.max_entries",
  maxBytes: "images.max_size",
  maxRatio: "images.max_ratio",
  maxPathBytes: "images.max_path",
  maxXattrBytes: "images.max_xattr",
};

/** `invalid_argument`, naming the limit; `what` says whose and how, such as "the image has more entries than". */
export function limitError(limit: keyof ImageLimits, value: number, what: string): BangerError {
  return new BangerError("invalid_argument", `${what} ${value}`, {
    cure: `if you trust it, raise ${KEYS[limit]} in the configuration`,
    details: { limit: KEYS[limit], value },
  });
}

/** What the layers of one image have used of their limits together. */
export class ImageBudget {
  readonly limits: ImageLimits;
  #entries = 0;
  #bytes = 0;
  #nameBytes = 0;

  constructor(limits: ImageLimits = DEFAULT_LIMITS) {
    this.limits = limits;
  }

  addEntries(count: number): void {
    this.#entries += count;
    if (this.#entries > this.limits.maxEntries) {
      throw limitError("maxEntries", this.limits.maxEntries, "the image has more entries than");
    }
  }

  addBytes(count: number): void {
    this.#bytes += count;
    if (this.#bytes > this.limits.maxBytes) {
      throw limitError("maxBytes", this.limits.maxBytes, "the image has more uncompressed bytes than");
    }
  }

  /** Of names and link targets: they are kept in memory, and compress well. */
  addNameBytes(count: number): void {
    this.#nameBytes += count;
    if (this.#nameBytes <= this.limits.maxEntries * NAME_BYTES_PER_ENTRY) return;
    throw limitError(
      "maxEntries",
      this.limits.maxEntries,
      "the image has longer names than fit for entries up to",
    );
  }

  /** Of one layer: `bytes` came out of `compressedBytes`. */
  checkRatio(bytes: number, compressedBytes: number): void {
    if (bytes <= RATIO_GRACE_BYTES || bytes <= compressedBytes * this.limits.maxRatio) return;
    throw limitError(
      "maxRatio",
      this.limits.maxRatio,
      "a layer's bytes grow by decompression more than times",
    );
  }
}
