/**
 * Writes an image as an OCI layout in a tar, with the same blobs that it came with, and with the `manifest.json` that `docker
 * load` of any age reads.
 */
import { createReadStream } from "node:fs";
import type { Digest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import type { BlobStore } from "../oci/blob-store.ts";
import type { BlobFacts } from "../oci/descriptor.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/document.ts";
import { type ImageManifest, parseManifest } from "../oci/manifest.ts";
import { MANIFEST_TYPES } from "../oci/media-types.ts";
import { END_MARK, paddingOf, writeHeader } from "../tar/writer.ts";
import { pathOfDigest } from "./contents.ts";

const READ_BYTES = 256 * 1024;
const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

export interface ExportLayoutOptions {
  readonly store: BlobStore;
  readonly manifestDigest: Digest;
  /** What the image is called in the archive, such as `app:latest`. */
  readonly name: string;
}

/**
 * The tar's bytes; equal images give equal archives. Errors: `failed_precondition` when the store no longer has a blob of the
 * image.
 */
export async function* exportLayout(options: ExportLayoutOptions): AsyncGenerator<Uint8Array> {
  const { store, manifestDigest, name } = options;
  const bytes = await store.read(manifestDigest, MAX_DOCUMENT_BYTES);
  if (bytes === undefined) throw gone(manifestDigest);
  const manifest = parseManifest(bytes);
  if (manifest.kind !== "manifest") throw new BangerError("internal", `${manifestDigest} is no manifest`);
  yield* document("oci-layout", { imageLayoutVersion: "1.0.0" });
  yield* document("index.json", indexOf(options, bytes));
  yield* document("manifest.json", savedOf(manifest, name));
  // A layer may stand in an image twice.
  const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
  yield* blob(store, { digest: manifestDigest, sizeBytes: bytes.byteLength });
  for (const facts of blobs.values()) yield* blob(store, facts);
  yield END_MARK;
}

function indexOf({ manifestDigest, name }: ExportLayoutOptions, bytes: Uint8Array): object {
  const { mediaType }: { mediaType?: unknown } = JSON.parse(Buffer.from(bytes).toString());
  const known = MANIFEST_TYPES.find((type) => type === mediaType) ?? MANIFEST_TYPES[0];
  const annotations = {
    "io.containerd.image.name": name,
    "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
  };
  return {
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: [{ mediaType: known, digest: manifestDigest, size: bytes.byteLength, annotations }],
  };
}

function savedOf({ config, layers }: ImageManifest, name: string): object {
  return [
    {
      Config: pathOfDigest(config.digest),
      RepoTags: [name],
      Layers: layers.map(({ digest }) => pathOfDigest(digest)),
    },
  ];
}

async function* document(path: string, value: object): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(JSON.stringify(value));
  yield header(path, bytes.byteLength);
  yield bytes;
  yield Buffer.alloc(paddingOf(bytes.byteLength));
}

async function* blob(store: BlobStore, facts: BlobFacts): AsyncGenerator<Uint8Array> {
  const path = await store.find(facts);
  if (path === undefined) throw gone(facts.digest);
  yield header(pathOfDigest(facts.digest), facts.sizeBytes);
  const file = createReadStream(path, { highWaterMark: READ_BYTES });
  try {
    yield* file as AsyncIterable<Uint8Array>;
  } finally {
    file.destroy();
  }
  yield Buffer.alloc(paddingOf(facts.sizeBytes));
}

function header(path: string, sizeBytes: number): Uint8Array {
  return writeHeader({
    kind: "file",
    path,
    linkPath: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeSeconds: 0,
    sizeBytes,
    major: 0,
    minor: 0,
    xattrs: [],
  });
}

function gone(digest: Digest): BangerError {
  return new BangerError("failed_precondition", `the blob ${digest} of the image is gone`, {
    cure: "pull or import the image again",
  });
}
