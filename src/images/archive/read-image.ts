/** Finds the one image that an archive of `docker save`, `skopeo`, `umoci` or `buildah` holds. */
import { z } from "zod";
import type { Digest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { checkDocument, parseDocument } from "../oci/document.ts";
import type { LayerBlob, OciImage } from "../oci/image.ts";
import { parseImageConfig } from "../oci/image-config.ts";
import {
  type ImageIndex,
  type ImageManifest,
  type IndexEntry,
  MAX_LAYERS,
  parseManifest,
} from "../oci/manifest.ts";
import {
  choosePlatform,
  hostPlatform,
  type Platform,
  showPlatform,
  validateRunnable,
} from "../oci/platform.ts";
import { type ArchiveContents, pathOfDigest } from "./contents.ts";

/** An index may name indexes; no image does so deeper. */
const MAX_INDEXES = 4;
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const TAR_TYPE = "application/vnd.oci.image.layer.v1.tar";

/** An image whose blobs, its manifest among them, are in the store. */
export interface ArchivedImage extends OciImage {
  /** Everything that it needs: manifest, configuration, layers. */
  readonly blobs: readonly Digest[];
}

/**
 * Errors: `invalid_argument` (damaged; something is missing; several images), `not_found` (none for the platform),
 * `unsupported` (cannot run here; nothing that can run).
 */
export async function readImage(
  contents: ArchiveContents,
  platform: Platform = hostPlatform(),
): Promise<ArchivedImage> {
  const index = await contents.document("index.json");
  const found =
    index === undefined ? await readDocker(contents) : await readLayout(contents, index, platform);
  const { digest, manifest } = found;
  const bytes = await contents.document(found.configPath ?? pathOfDigest(manifest.config.digest));
  if (bytes === undefined) throw missing("the image's configuration");
  const config = parseImageConfig(bytes);
  if (config.platform !== undefined) validateRunnable(config.platform, "the image");
  if (config.diffIds.length !== manifest.layers.length) {
    throw new BangerError(
      "invalid_argument",
      `the image has ${manifest.layers.length} layers, but its configuration names ${config.diffIds.length}`,
    );
  }
  const layers = manifest.layers.map((layer, place): LayerBlob => {
    const path = found.layerPaths?.[place] ?? pathOfDigest(layer.digest);
    const blob = contents.blob(path);
    const diffId = config.diffIds[place];
    if (blob === undefined || diffId === undefined || blob.sizeBytes !== layer.sizeBytes) throw missing(path);
    return { ...layer, diffId, path: blob.path };
  });
  const blobs = [digest, manifest.config.digest, ...layers.map((layer) => layer.digest)];
  return { manifestDigest: digest, config, layers, blobs };
}

interface Found {
  readonly digest: Digest;
  readonly manifest: ImageManifest;
  /** Where things stand that are not under their digests. */
  readonly configPath?: string;
  readonly layerPaths?: readonly string[];
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md */
async function readLayout(contents: ArchiveContents, index: Uint8Array, platform: Platform): Promise<Found> {
  let parsed: ImageIndex | ImageManifest = parseManifest(index);
  let digest: Digest | undefined;
  for (let depth = 0; parsed.kind === "index"; depth += 1) {
    if (depth > MAX_INDEXES) {
      throw new BangerError(
        "invalid_argument",
        `the archive's indexes are nested more than ${MAX_INDEXES} deep`,
      );
    }
    // Only the first may name different images: below it, an index is one image for several platforms.
    const entry =
      depth === 0 ? onlyEntry(parsed.manifests, platform) : chooseEntry(parsed.manifests, platform);
    const bytes = await contents.document(pathOfDigest(entry.digest));
    if (bytes === undefined) throw missing(entry.digest);
    digest = entry.digest;
    parsed = parseManifest(bytes, entry.mediaType);
  }
  if (digest === undefined) throw new BangerError("invalid_argument", "the archive's index.json is no index");
  return { digest, manifest: parsed };
}

function onlyEntry(entries: readonly IndexEntry[], platform: Platform): IndexEntry {
  const digests = new Set(
    entries.filter(({ platform: own }) => own === undefined).map(({ digest }) => digest),
  );
  if (digests.size > 1) throw severalImages(digests.size);
  return chooseEntry(entries, platform);
}

function chooseEntry(entries: readonly IndexEntry[], platform: Platform): IndexEntry {
  const entry = choosePlatform(entries, platform);
  if (entry !== undefined) return entry;
  throw new BangerError("not_found", `the archive has no image for ${showPlatform(platform)}`, {
    cure: `save one that is built for ${showPlatform(platform)}`,
  });
}

const text = z.string().min(1).max(4096);
const wireSaved = z.object({
  images: z
    .array(
      z.object({
        Config: text,
        RepoTags: z.array(text).nullish(),
        Layers: z.array(text).max(MAX_LAYERS).nullish(),
      }),
    )
    .min(1)
    .max(1024),
});

/** https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format */
async function readDocker(contents: ArchiveContents): Promise<Found> {
  const bytes = await contents.document("manifest.json");
  if (bytes === undefined) throw missing("index.json and manifest.json");
  const what = "the archive's manifest.json";
  // A list at the top, where the other documents of images have an object.
  const wrapped = Buffer.concat([Buffer.from('{"images":'), bytes, Buffer.from("}")]);
  const { images } = checkDocument(wireSaved, parseDocument(wrapped, what), what);
  const [image, ...others] = images;
  if (image === undefined || others.length > 0) {
    throw severalImages(
      images.length,
      images.flatMap(({ RepoTags }) => RepoTags?.slice(0, 1) ?? []),
    );
  }
  const configBytes = await contents.document(image.Config);
  if (configBytes === undefined) throw missing(image.Config);
  const layerPaths = image.Layers ?? [];
  const layers = layerPaths.map((path): Descriptor => {
    const blob = contents.blob(path);
    if (blob === undefined) throw missing(path);
    return { mediaType: TAR_TYPE, digest: blob.digest, sizeBytes: blob.sizeBytes };
  });
  const config = { mediaType: CONFIG_TYPE, ...(await contents.add(configBytes)) };
  const wire = ({ mediaType, digest, sizeBytes }: Descriptor): object => ({
    mediaType,
    digest,
    size: sizeBytes,
  });
  const document = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: wire(config),
    layers: layers.map(wire),
  });
  const { digest } = await contents.add(Buffer.from(document));
  return { digest, manifest: { kind: "manifest", config, layers }, configPath: image.Config, layerPaths };
}

function severalImages(count: number, names: readonly string[] = []): BangerError {
  const which = names.length === 0 ? "" : `: ${names.slice(0, 8).map(quote).join(", ")}`;
  return new BangerError("invalid_argument", `the archive holds ${count} images${which}`, {
    cure: "save one image at a time",
  });
}

function missing(what: string): BangerError {
  return new BangerError("invalid_argument", `the archive is not complete: ${quote(what)} is missing`);
}
