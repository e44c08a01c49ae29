/** Finds the manifest that a reference means for a platform, through indexes, each document checked by its digest. */
import { type Digest, isDigest, splitDigest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import type { ImageReference } from "../../model/image-reference.ts";
import type { BlobStore } from "../oci/blob-store.ts";
import { digestOf } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/document.ts";
import { type ImageManifest, type IndexEntry, parseManifest } from "../oci/manifest.ts";
import { INDEX_TYPES, MANIFEST_TYPES } from "../oci/media-types.ts";
import { choosePlatform, type Platform, showPlatform } from "../oci/platform.ts";
import { readBody } from "./body.ts";
import type { RegistryClient } from "./client.ts";
import { withRetries } from "./transient.ts";

export interface FoundManifest {
  readonly digest: Digest;
  readonly manifest: ImageManifest;
}

export interface ManifestPlace {
  readonly store: BlobStore;
  readonly signal: AbortSignal;
}

interface Document {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** What came with it. */
  readonly mediaType: string | undefined;
}

/** An index may name indexes; no image does so deeper. */
const MAX_INDEXES = 4;

/**
 * Errors: `not_found` (no such image; none for the platform), `invalid_argument` (other bytes than the digest says, damaged),
 * `unsupported` (schema 1 and the like), and those of `RegistryClient.request`.
 */
export async function fetchManifest(
  client: RegistryClient,
  reference: ImageReference,
  { platform, ...place }: ManifestPlace & { readonly platform: Platform },
): Promise<FoundManifest> {
  let document = await fetchRoot(client, reference, place);
  for (let indexes = 0; indexes <= MAX_INDEXES; indexes += 1) {
    const parsed = parseManifest(document.bytes, document.mediaType);
    if (parsed.kind === "manifest") return { digest: document.digest, manifest: parsed };
    document = await fetchEntry(client, chooseEntry(parsed.manifests, platform), place);
  }
  throw new BangerError("invalid_argument", `the image's indexes are nested more than ${MAX_INDEXES} deep`);
}

function chooseEntry(entries: readonly IndexEntry[], platform: Platform): IndexEntry {
  const entry = choosePlatform(entries, platform);
  if (entry !== undefined) return entry;
  const offered = entries.flatMap((one) =>
    one.platform === undefined || one.platform.os === "unknown" ? [] : [showPlatform(one.platform)],
  );
  const list = [...new Set(offered)].slice(0, 16).join(", ");
  throw new BangerError(
    "not_found",
    `there is no build of the image for ${showPlatform(platform)}${list === "" ? "" : `; there is: ${list}`}`,
    { cure: "choose another image or tag", details: { platform: showPlatform(platform) } },
  );
}

async function fetchRoot(
  client: RegistryClient,
  reference: ImageReference,
  place: ManifestPlace,
): Promise<Document> {
  const { digest, tag = "" } = reference;
  const known = digest ?? (await askDigest(client, tag, place.signal));
  const stored = known === undefined ? undefined : await place.store.read(known, MAX_DOCUMENT_BYTES);
  if (known !== undefined && stored !== undefined)
    return { digest: known, bytes: stored, mediaType: undefined };
  const name = `${client.endpoint.repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
  return await download(client, { path: `manifests/${digest ?? tag}`, what: name, digest, ...place });
}

async function fetchEntry(
  client: RegistryClient,
  entry: IndexEntry,
  place: ManifestPlace,
): Promise<Document> {
  const { digest, sizeBytes, mediaType } = entry;
  const stored = await place.store.read(digest, MAX_DOCUMENT_BYTES);
  const document =
    stored === undefined
      ? await download(client, {
          path: `manifests/${digest}`,
          what: `the manifest ${digest}`,
          digest,
          ...place,
        })
      : { digest, bytes: stored, mediaType };
  if (document.bytes.byteLength === sizeBytes) return document;
  throw new BangerError(
    "invalid_argument",
    `the manifest ${digest} has ${document.bytes.byteLength} bytes, but the image's index says ${sizeBytes}`,
  );
}

/** What the tag stands for now, without fetching it. Undefined where the registry does not say: it is fetched then. */
async function askDigest(
  client: RegistryClient,
  tag: string,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  try {
    using answer = await client.request({
      path: `manifests/${tag}`,
      what: `${client.endpoint.repository}:${tag}`,
      method: "HEAD",
      headers: ACCEPT,
      signal,
    });
    const digest = answer.headers.get("docker-content-digest");
    return isDigest(digest) ? digest : undefined;
  } catch (error) {
    // An answer to HEAD has no words; the GET that follows fails with them.
    if (signal.aborted) throw error;
    return undefined;
  }
}

const ACCEPT = { accept: [...INDEX_TYPES, ...MANIFEST_TYPES].join(", ") };

interface Download extends ManifestPlace {
  readonly path: string;
  readonly what: string;
  /** What it must have; undefined: what a tag stands for is found out. */
  readonly digest: Digest | undefined;
}

async function download(
  client: RegistryClient,
  { path, what, digest, store, signal }: Download,
): Promise<Document> {
  return await withRetries(
    async () => {
      using answer = await client.request({ path, what, headers: ACCEPT, signal });
      const bytes = await readBody(answer, { limitBytes: MAX_DOCUMENT_BYTES, what: "the image's manifest" });
      const stated = answer.headers.get("docker-content-digest");
      const wanted = digest ?? (isDigest(stated) ? stated : digestOf(bytes));
      const found = digestOf(bytes, splitDigest(wanted).algorithm);
      if (found !== wanted) {
        throw new BangerError(
          "invalid_argument",
          `the manifest of ${what} is not what it should be: ${found} instead of ${wanted}`,
        );
      }
      await store.put({ digest: found, sizeBytes: bytes.byteLength }, once(bytes), signal);
      const mediaType = answer.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
      return { digest: found, bytes, mediaType };
    },
    { clock: client.clock, signal },
  );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
