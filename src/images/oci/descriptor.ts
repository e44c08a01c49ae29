/** Descriptors: what points from one document of an image to the next, with its type, digest and size. */
import { z } from "zod";
import { type Digest, isDigest } from "../../model/digest.ts";

/** More than any layer has; a size is believed only up to here. */
export const MAX_BLOB_BYTES: number = 64 * 1024 ** 3;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** What identifies a blob and what must be true of it. */
export type BlobFacts = Pick<Descriptor, "digest" | "sizeBytes">;

const MAX_URLS = 64;

/** The wire form of a descriptor. Unknown fields are left out, as the specification asks. */
export const wireDescriptor: z.ZodType<Descriptor & { readonly urls: readonly string[] }> = z
  .object({
    mediaType: z.string().min(1).max(255),
    digest: z.custom<Digest>(isDigest, "not a sha256 or sha512 digest"),
    size: z.int().min(0).max(MAX_BLOB_BYTES),
    urls: z.array(z.string().max(4096)).max(MAX_URLS).nullish(),
  })
  .transform(({ mediaType, digest, size, urls }) => ({
    mediaType,
    digest,
    sizeBytes: size,
    urls: urls ?? [],
  }));
