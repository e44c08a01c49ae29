/** The digest of bytes in memory. */
import { createHash } from "node:crypto";
import type { Digest, DigestAlgorithm } from "../../model/digest.ts";

export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}
