/** Which blobs are worth their space: those of images that are there, and for a while those that a cut pull fetched. */
import type { Digest } from "../model/digest.ts";
import type { ImageBlobs } from "./blobs.ts";
import type { BlobStore } from "./oci/blob-store.ts";

/** What a pull that was cut had fetched is kept for the next one for this long. */
export const UNUSED_BLOB_MS: number = 7 * 24 * 3_600_000;

/**
 * Removes blobs that no image is made of and that are older than that. The caller knows that nothing is being pulled or imported.
 * Returns what was removed.
 */
export async function sweepBlobs(
  store: BlobStore,
  images: ImageBlobs,
  { olderThanMs }: { readonly olderThanMs: number },
): Promise<Digest[]> {
  const removed: Digest[] = [];
  for (const digest of await unusedBlobs(store, images)) {
    if ((await store.ageMs(digest)) < olderThanMs) continue;
    await store.remove(digest);
    removed.push(digest);
  }
  return removed;
}

/** Blobs that no image is made of, but those of `without`. */
export async function unusedBlobs(
  store: BlobStore,
  images: ImageBlobs,
  without: readonly string[] = [],
): Promise<Digest[]> {
  const used = new Set<Digest>();
  for (const image of await images.readable()) {
    if (!without.includes(image.digest)) for (const blob of image.oci?.blobs ?? []) used.add(blob);
  }
  return (await store.list()).filter((digest) => !used.has(digest));
}
