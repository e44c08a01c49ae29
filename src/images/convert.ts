/** From an OCI image, whose blobs are on disk, to an image that VMs start from. */
import type { Digest } from "../model/digest.ts";
import { BangerError } from "../model/errors.ts";
import type { Image, ImageBlobs } from "./blobs.ts";
import type { LayerIndex } from "./layers/layer-index.ts";
import { openLayer } from "./layers/layer-stream.ts";
import { indexLayer, type MergeOptions, mergeLayers } from "./layers/merge.ts";
import type { BlobStore } from "./oci/blob-store.ts";
import { MAX_DOCUMENT_BYTES } from "./oci/document.ts";
import type { LayerBlob, OciImage } from "./oci/image.ts";
import { parseManifest } from "./oci/manifest.ts";
import { configFromOci } from "./oci-config.ts";
import type { ImageBudget } from "./tar/limits.ts";

export interface ConvertOptions extends Omit<MergeOptions, "epochSeconds"> {
  /** Where it came from, for a person. */
  readonly source: string;
  /** Where its blobs are, the manifest among them. */
  readonly store: BlobStore;
  /** What is known of layers already, made with `indexBlob`; the others are indexed now. */
  readonly indexes?: LayerIndexes;
}

/** By the digests of the blob and of what it decompresses to. */
export type LayerIndexes = Map<`${Digest} ${Digest}`, LayerIndex>;

/**
 * Publishes the image; one that was made of the same manifest is returned as it is. When it fails, nothing is left. Errors: those
 * of `mergeLayers`.
 */
export async function convertOci(oci: OciImage, blobs: ImageBlobs, options: ConvertOptions): Promise<Image> {
  const { source, store, indexes, ...merge } = options;
  const known = await blobs.byManifest(oci.manifestDigest);
  if (known !== undefined) return known;
  const layers = oci.layers.map(({ path, diffId, digest }, place) => {
    const index = indexes?.get(`${digest} ${diffId}`);
    const name = `layer ${place + 1} of ${oci.layers.length} (${digest.slice(0, 19)})`;
    return { path, diffId, name, ...(index === undefined ? {} : { index }) };
  });
  const origin = { manifestDigest: oci.manifestDigest, blobs: await blobsOf(oci, store) };
  return await blobs.publish(
    { config: configFromOci(oci.config), source, oci: origin },
    async (rootfsPath) => {
      await mergeLayers(layers, rootfsPath, merge);
    },
  );
}

/**
 * Indexes one layer, checking it against its `diffId`, so that a conversion need not read it twice. `budget` is that of the whole image.
 * Errors: those of `mergeLayers`.
 */
export async function indexBlob(
  { path, diffId, digest }: LayerBlob,
  options: { readonly budget: ImageBudget; readonly signal: AbortSignal },
): Promise<LayerIndex> {
  const name = `the layer ${digest.slice(0, 19)}`;
  return await indexLayer(openLayer({ path, name }, options), { name, diffId, budget: options.budget });
}

/** All that an export needs: the manifest, the configuration, the layers. */
async function blobsOf({ manifestDigest, layers }: OciImage, store: BlobStore): Promise<Digest[]> {
  const bytes = await store.read(manifestDigest, MAX_DOCUMENT_BYTES);
  const manifest = bytes === undefined ? undefined : parseManifest(bytes);
  if (manifest?.kind !== "manifest")
    throw new BangerError("internal", `the manifest ${manifestDigest} is gone`);
  return [...new Set([manifestDigest, manifest.config.digest, ...layers.map(({ digest }) => digest)])];
}
