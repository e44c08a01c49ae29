/** Commit: the image that a VM was made from, and what the VM wrote, as one more layer of an OCI image. */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { z } from "zod";
import { runProgram } from "../lib/run-program.ts";
import type { Digest } from "../model/digest.ts";
import { BangerError } from "../model/errors.ts";
import type { ImageConfig } from "../model/spec.ts";
import { exportRootfs } from "./archive/export-rootfs.ts";
import type { Image, ImageBlobs } from "./blobs.ts";
import { type ConvertOptions, convertOci } from "./convert.ts";
import { Ext4Reader } from "./ext4/reader.ts";
import type { BlobStore } from "./oci/blob-store.ts";
import { digestOf } from "./oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseDocument } from "./oci/document.ts";
import type { LayerBlob } from "./oci/image.ts";
import { parseImageConfig } from "./oci/image-config.ts";
import { parseManifest } from "./oci/manifest.ts";
import { hostPlatform } from "./oci/platform.ts";
import { upperLayer } from "./upper-layer.ts";

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip";

export interface CommitPlaces {
  readonly blobs: ImageBlobs;
  readonly store: BlobStore;
}

export interface CommitOptions extends Omit<ConvertOptions, "store"> {
  /** A copy of the VM's writable disk, which nobody else uses, in a directory for this work; its journal is replayed in it. */
  readonly diskPath: string;
  /** What the VM was made from. */
  readonly base: Image;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** A base's layers, and its configuration as it was written. */
interface Base {
  readonly layers: readonly LayerBlob[];
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Publishes the image; the configuration of the base stays. An image that came as no OCI image becomes the first layer. While it
 * fails, nothing is visible, and its blobs go with the next removal. Errors: those of `upperLayer` and of `convertOci`;
 * `failed_precondition` (a blob of the base is gone), `unavailable` (a program is missing).
 */
export async function commitDisk({ blobs, store }: CommitPlaces, options: CommitOptions): Promise<Image> {
  const { diskPath, base: image, nowMs, ...convert } = options;
  const { signal, onStage } = convert;
  await replayJournal(diskPath, signal);
  onStage?.("reading what the VM wrote");
  const { limits } = convert;
  const below = {
    rootfsPath: image.rootfsPath,
    tarPath: join(dirname(diskPath), "below.tar"),
    ...(limits === undefined ? {} : { limits }),
    ...(signal === undefined ? {} : { signal }),
  };
  const layer = await putLayer(store, upperLayer(diskPath, below), signal);
  onStage?.("looking up the image below");
  const base = await baseOf(image, store, signal);
  const layers = [...base.layers, layer];
  const config = extendConfig(base.config, {
    diffIds: layers.map((one) => one.diffId),
    created: new Date(nowMs).toISOString(),
    by: convert.source,
  });
  const configBytes = Buffer.from(JSON.stringify(config));
  const manifestBytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: CONFIG_TYPE, ...(await putDocument(store, configBytes)) },
      layers: layers.map(({ mediaType, digest, sizeBytes }) => ({ mediaType, digest, size: sizeBytes })),
    }),
  );
  const { digest: manifestDigest } = await putDocument(store, manifestBytes);
  const oci = { manifestDigest, config: parseImageConfig(configBytes), layers };
  return await convertOci(oci, blobs, { ...convert, store });
}

async function replayJournal(diskPath: string, signal: AbortSignal | undefined): Promise<void> {
  {
    await using disk = await Ext4Reader.open(diskPath);
    if (!disk.dirty) return;
  }
  await runProgram(["e2fsck", "-p", "-E", "journal_only", diskPath], {
    ...(signal === undefined ? {} : { signal }),
    stdout: "ignore",
    aptPackage: "e2fsprogs",
    failure: (end) =>
      new BangerError("failed_precondition", `the VM's disk cannot be read: ${end.stderrTail}`, {
        cure: "start the VM and stop it again, which repairs what a crash left",
        details: { exitCode: end.exitCode },
      }),
  }).catch((error: unknown) => {
    // "File system errors corrected" (e2fsck(8)); whether it is clean now, its reader looks at.
    if (BangerError.from(error).details["exitCode"] !== 1) throw error;
  });
}

/** Compresses a layer and keeps it. */
async function putLayer(
  store: BlobStore,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<LayerBlob> {
  const hash = createHash("sha256");
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const source = Readable.from(hashed(), { objectMode: true, highWaterMark: 2 });
  // Level 1: the layer is read here and compressed anew with every push.
  const gzip = createGzip({ level: 1 });
  source.once("error", (error) => gzip.destroy(error));
  source.pipe(gzip);
  try {
    const stored = await store.putUnnamed(gzip as AsyncIterable<Uint8Array>, signal);
    const diffId: Digest = `sha256:${hash.digest("hex")}`;
    return { ...stored, diffId, mediaType: LAYER_TYPE };
  } finally {
    source.destroy();
    gzip.destroy();
  }
}

async function putDocument(store: BlobStore, bytes: Buffer): Promise<{ digest: Digest; size: number }> {
  const digest = digestOf(bytes);
  async function* once(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  await store.put({ digest, sizeBytes: bytes.length }, once());
  return { digest, size: bytes.length };
}

async function baseOf(image: Image, store: BlobStore, signal: AbortSignal | undefined): Promise<Base> {
  if (image.oci === undefined) {
    const layer = await putLayer(store, exportRootfs(image.rootfsPath, signal), signal);
    return { layers: [layer], config: newConfig(image.config) };
  }
  const manifestBytes = await store.read(image.oci.manifestDigest, MAX_DOCUMENT_BYTES);
  const manifest = manifestBytes === undefined ? undefined : parseManifest(manifestBytes);
  if (manifest?.kind !== "manifest") throw gone(image);
  const configBytes = await store.read(manifest.config.digest, MAX_DOCUMENT_BYTES);
  if (configBytes === undefined) throw gone(image);
  const { diffIds } = parseImageConfig(configBytes);
  const layers = manifest.layers.map(async ({ mediaType, digest, sizeBytes }, place): Promise<LayerBlob> => {
    const path = await store.find({ digest, sizeBytes });
    const diffId = diffIds[place];
    if (path === undefined || diffId === undefined) throw gone(image);
    return { mediaType, digest, sizeBytes, diffId, path };
  });
  const config = z.looseObject({}).parse(parseDocument(configBytes, "the image's configuration"));
  return { layers: await Promise.all(layers), config };
}

/** What an image says of itself that came without a configuration of OCI. */
function newConfig(config: ImageConfig): Readonly<Record<string, unknown>> {
  const { os, architecture } = hostPlatform();
  const keys = (names: readonly string[] | undefined): Record<string, object> | undefined =>
    names === undefined ? undefined : Object.fromEntries(names.map((name) => [name, {}]));
  return {
    os,
    architecture,
    config: {
      Entrypoint: config.entrypoint,
      Cmd: config.cmd,
      Env: config.env === undefined ? undefined : Object.entries(config.env).map((entry) => entry.join("=")),
      WorkingDir: config.workdir,
      User: config.user,
      ExposedPorts: keys(config.exposedPorts),
      Volumes: keys(config.volumes),
      StopSignal: config.stopSignal,
      Labels: config.labels,
    },
  };
}

/** The same with one layer more. What this version does not know of it stays too. */
function extendConfig(
  config: Readonly<Record<string, unknown>>,
  { diffIds, created, by }: { readonly diffIds: readonly Digest[]; created: string; by: string },
): object {
  const { history } = config;
  return {
    ...config,
    created,
    rootfs: { type: "layers", diff_ids: diffIds },
    // As many entries as layers, or none (config.md): one that does not say its own stays without.
    ...(Array.isArray(history) ? { history: [...(history as unknown[]), { created, created_by: by }] } : {}),
  };
}

function gone(image: Image): BangerError {
  const shown = image.digest.slice(0, 12);
  return new BangerError("failed_precondition", `a blob of the image ${shown} below the VM is gone`, {
    cure: "fetch it again: banger image verify says by which name",
  });
}
