/** Images from registries: fetched, converted, and nothing left of one that turned out to be bad. */
import { SharedWork } from "../lib/shared-work.ts";
import { Slots } from "../lib/slots.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError, type ErrorCode } from "../model/errors.ts";
import { parseImageReference, showImageReference } from "../model/image-reference.ts";
import { sweepBlobs } from "./blob-sweep.ts";
import type { BlobUse } from "./blob-use.ts";
import type { Image, ImageBlobs } from "./blobs.ts";
import { convertOci, indexBlob, type LayerIndexes } from "./convert.ts";
import type { BlobStore } from "./oci/blob-store.ts";
import type { Platform } from "./oci/platform.ts";
import type { OnLayer, RegistryPuller } from "./registry/pull.ts";
import { DEFAULT_LIMITS, ImageBudget, type ImageLimits } from "./tar/limits.ts";

export interface RegistryImagesOptions {
  readonly puller: RegistryPuller;
  readonly blobs: ImageBlobs;
  readonly store: BlobStore;
  readonly use: BlobUse;
  readonly limits?: ImageLimits | undefined;
}

export interface RegistryPullOptions extends LongOptions {
  /** Default: what runs on this host. */
  readonly platform?: Platform | undefined;
}

/** These say that the image is bad or not for us; what was fetched of it is of no use later. */
const FOR_GOOD: readonly ErrorCode[] = ["invalid_argument", "unsupported"];

export class RegistryImages {
  readonly #options: RegistryImagesOptions;
  readonly #conversions = new SharedWork<Image>();

  constructor(options: RegistryImagesOptions) {
    this.#options = options;
  }

  /** Pulls at once share what they fetch and the conversion. Errors: those of `RegistryPuller.pull` and of `convertOci`. */
  async pull(name: string, options: RegistryPullOptions): Promise<Image> {
    const { use, store, blobs } = this.#options;
    try {
      return await use.hold(async () => await this.#pull(name, options));
    } catch (error) {
      if (FOR_GOOD.includes(BangerError.from(error).code)) {
        await use.removeIfIdle(async () => await sweepBlobs(store, blobs, { olderThanMs: 0 }));
      }
      throw error;
    }
  }

  async #pull(name: string, { signal, onProgress, platform }: RegistryPullOptions): Promise<Image> {
    const { puller, blobs, store, limits } = this.#options;
    const reference = showImageReference(parseImageReference(name));
    onProgress({ event: "note", text: `fetching ${reference}` });
    const indexes: LayerIndexes = new Map();
    const oci = await puller.pull(reference, {
      signal,
      onProgress,
      onManifest: async (digest) =>
        (await blobs.byManifest(digest)) === undefined ? this.#indexer(indexes) : undefined,
      ...(platform === undefined ? {} : { platform }),
    });
    const onStage = (text: string): void => onProgress({ event: "note", text });
    return await this.#conversions.run(oci.manifestDigest, { signal, onStage }, async (context) => {
      return await convertOci(oci, blobs, {
        ...context,
        source: `registry ${reference}`,
        store,
        indexes,
        ...(limits === undefined ? {} : { limits }),
      });
    });
  }

  /** Reads each layer once while the next are on their way, one at a time for the memory. */
  #indexer(indexes: LayerIndexes): OnLayer {
    const budget = new ImageBudget(this.#options.limits ?? DEFAULT_LIMITS);
    const slot = new Slots(1);
    return async (layer, signal) => {
      await slot.use(signal, async () => {
        indexes.set(`${layer.digest} ${layer.diffId}`, await indexBlob(layer, { budget, signal }));
      });
    };
  }
}
