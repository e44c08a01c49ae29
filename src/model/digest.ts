/** Digests of content: https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md#digests. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

/** A registered algorithm and its lower-case hex digits; the shape is checked, so that it may become a file name. */
export type Digest = `sha256:${string}` | `sha512:${string}`;

export type DigestAlgorithm = "sha256" | "sha512";

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/u;

export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && DIGEST.test(text);
}

/** Errors: `invalid_argument`. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new BangerError("invalid_argument", `${quote(text)} is not a digest`, {
    cure: "write it as sha256: and 64 hex digits in lower case",
  });
}

/** The two halves. */
export function splitDigest(digest: Digest): { readonly algorithm: DigestAlgorithm; readonly hex: string } {
  const algorithm = digest.startsWith("sha256:") ? "sha256" : "sha512";
  return { algorithm, hex: digest.slice(algorithm.length + 1) };
}
