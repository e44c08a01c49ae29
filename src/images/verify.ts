/** Whether everything that the store keeps by its digest still is what the digest says. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { abortError } from "../lib/run-program.ts";
import { type Digest, splitDigest } from "../model/digest.ts";
import type { ImageBlobs } from "./blobs.ts";
import type { BlobStore } from "./oci/blob-store.ts";

export interface Damage {
  readonly kind: "image" | "blob" | "kernel";
  readonly id: string;
  /** What is wrong, a phrase for a person. */
  readonly problem: string;
  /** Digests of the images that it makes unusable. */
  readonly images: readonly string[];
}

export interface VerifyContext {
  readonly signal?: AbortSignal;
  readonly onStage?: (stage: string) => void;
}

export interface Verified {
  readonly checked: number;
  readonly damages: readonly Damage[];
}

/**
 * Reads every root file system and every blob. A damaged image is marked, so that nothing starts from it and the next pull or
 * import makes it anew; a damaged blob is removed, because it is of no use, and the next pull fetches it. What cannot be read for
 * reasons of the host is an error, not damage. Errors: `cancelled`, and those of the file system.
 */
export async function verifyImages(
  blobs: ImageBlobs,
  store: BlobStore,
  { signal, onStage }: VerifyContext,
): Promise<Verified> {
  const damages: Damage[] = [];
  let checked = 0;
  for (const digest of await blobs.list()) {
    onStage?.(`checking image ${digest.slice(0, 12)}`);
    const problem = await blobs.check(digest, signal);
    checked += 1;
    if (problem === undefined) continue;
    await blobs.markDamaged(digest);
    damages.push({ kind: "image", id: digest, problem, images: [digest] });
  }
  const wanted = await imagesByBlob(blobs);
  const missing = new Set(wanted.keys());
  for (const digest of await store.list()) {
    missing.delete(digest);
    onStage?.(`checking blob ${digest.slice(0, 19)}`);
    checked += 1;
    if ((await hashBlob(store.pathOf(digest), digest, signal)) === digest) continue;
    await store.remove(digest);
    const problem = "its bytes are others; it was removed";
    damages.push({ kind: "blob", id: digest, problem, images: wanted.get(digest) ?? [] });
  }
  for (const digest of missing) {
    const problem = "it is gone, and an image is made of it";
    damages.push({ kind: "blob", id: digest, problem, images: wanted.get(digest) ?? [] });
  }
  return { checked, damages };
}

async function imagesByBlob(blobs: ImageBlobs): Promise<Map<Digest, string[]>> {
  const wanted = new Map<Digest, string[]>();
  for (const { digest, oci } of await blobs.readable()) {
    for (const blob of oci?.blobs ?? []) wanted.set(blob, [...(wanted.get(blob) ?? []), digest]);
  }
  return wanted;
}

async function hashBlob(path: string, digest: Digest, signal: AbortSignal | undefined): Promise<Digest> {
  const { algorithm } = splitDigest(digest);
  const hash = createHash(algorithm);
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024 });
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    if (signal?.aborted === true) throw abortError(signal);
    hash.update(chunk);
  }
  return `${algorithm}:${hash.digest("hex")}`;
}
