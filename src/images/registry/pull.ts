/** Pulls images from registries into the blob store: manifest, configuration, then the layers side by side. */
import type { Clock } from "../../lib/clock.ts";
import type { Digest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import { parseImageReference } from "../../model/image-reference.ts";
import type { OnProgress } from "../../model/progress.ts";
import type { Registries } from "../../model/registries.ts";
import type { BlobStore } from "../oci/blob-store.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/document.ts";
import type { LayerBlob, OciImage } from "../oci/image.ts";
import { type OciImageConfig, parseImageConfig } from "../oci/image-config.ts";
import type { ImageManifest } from "../oci/manifest.ts";
import { hostPlatform, type Platform, validateRunnable } from "../oci/platform.ts";
import { BlobDownloads } from "./blob-downloads.ts";
import { RegistryClient, tryEach } from "./client.ts";
import { listEndpoints } from "./endpoint.ts";
import { Http } from "./http.ts";
import { LayerProgress } from "./layer-progress.ts";
import { fetchManifest } from "./manifest-fetch.ts";
import type { Trust } from "./trust.ts";

export interface RegistryPullerOptions {
  readonly store: BlobStore;
  readonly registries: Registries;
  readonly trust: Trust;
  /** `PATH`, `HOME`, `DOCKER_CONFIG` and the proxy variables are looked up here. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

export interface PullOptions {
  /** Default: what runs on this host. */
  readonly platform?: Platform;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** Given the manifest's digest, says what is to be done with each layer that is there, while others are still fetched. */
  readonly onManifest?: (manifestDigest: Digest) => Promise<OnLayer | undefined>;
}

/** Called once for each blob, side by side; the pull ends after it, and with its error. */
export type OnLayer = (layer: LayerBlob, signal: AbortSignal) => Promise<void>;

/** One for each blob store: pulls at once that want the same blob share its download. */
export class RegistryPuller {
  readonly #options: RegistryPullerOptions;
  readonly #http: Http;
  readonly #downloads: BlobDownloads;

  constructor(options: RegistryPullerOptions) {
    this.#options = options;
    this.#http = new Http(options);
    this.#downloads = new BlobDownloads(options.store);
  }

  /**
   * Fetches what of the image is not in the store, and returns it whole. May be repeated: what is there is not fetched again.
   * Cancelled or out of reach, it leaves verified blobs and the beginnings of others in the store, for the next attempt; nobody
   * sees an image before it is whole. Errors: `invalid_argument` (the reference; contents that are not what they should be),
   * `not_found`, `permission_denied`, `unavailable`, `timeout`, `unsupported` (cannot run here, schema 1, foreign layers),
   * `failed_precondition` (configuration), `resource_exhausted` (no space, too many requests), `cancelled`.
   */
  async pull(text: string, options: PullOptions): Promise<OciImage> {
    const reference = parseImageReference(text);
    const { signal, platform = hostPlatform() } = options;
    validateRunnable(platform, "the platform that was asked for");
    const { store, registries } = this.#options;
    const clients = listEndpoints(reference, registries).map(
      (endpoint) => new RegistryClient({ ...this.#options, endpoint, http: this.#http }),
    );
    const { value: found, client } = await tryEach(clients, signal, async (client) => {
      return await fetchManifest(client, reference, { platform, store, signal });
    });
    const sources = [client, ...clients.filter((other) => other !== client)];
    const config = await this.#config(found.manifest, sources, signal);
    validateRunnable(config.platform ?? platform, `the image ${text}`);
    const onLayer = await options.onManifest?.(found.digest);
    const layers = found.manifest.layers.flatMap((layer, index) => {
      const diffId = config.diffIds[index];
      return diffId === undefined ? [] : [{ ...layer, diffId }];
    });
    const paths = await this.#layers(layers, sources, { ...options, onLayer });
    return {
      manifestDigest: found.digest,
      config,
      layers: layers.flatMap((layer): LayerBlob[] => {
        const path = paths.get(layer.digest);
        return path === undefined ? [] : [{ ...layer, path }];
      }),
    };
  }

  async #config(
    manifest: ImageManifest,
    sources: readonly RegistryClient[],
    signal: AbortSignal,
  ): Promise<OciImageConfig> {
    await this.#downloads.fetch(manifest.config, sources, { signal });
    const bytes = await this.#options.store.read(manifest.config.digest, MAX_DOCUMENT_BYTES);
    if (bytes === undefined) throw new BangerError("internal", `${manifest.config.digest} went away`);
    const config = parseImageConfig(bytes);
    if (config.diffIds.length === manifest.layers.length) return config;
    throw new BangerError(
      "invalid_argument",
      `the image has ${manifest.layers.length} layers, but its configuration names ${config.diffIds.length}`,
    );
  }

  /** The path of each, or the first error, after the others have ended. */
  async #layers(
    layers: readonly Omit<LayerBlob, "path">[],
    sources: readonly RegistryClient[],
    { signal, onProgress, onLayer }: PullOptions & { readonly onLayer: OnLayer | undefined },
  ): Promise<Map<Digest, string>> {
    const progress = new LayerProgress(this.#options.clock, onProgress);
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const paths = await Promise.allSettled(
      // A layer may stand in an image twice.
      [...new Map(layers.map((layer) => [layer.digest, layer])).values()].map(async (layer) => {
        try {
          const onStage = (doneBytes: number): void => progress.moved(layer, doneBytes);
          const path = await this.#downloads.fetch(layer, sources, { signal: either, onStage });
          progress.done(layer);
          await onLayer?.({ ...layer, path }, either);
          return [layer.digest, path] as const;
        } catch (error) {
          // The first reason counts; the others fail because of it.
          failed.abort(error);
          throw error;
        }
      }),
    );
    if (failed.signal.aborted) throw BangerError.from(failed.signal.reason);
    return new Map(paths.flatMap((path) => (path.status === "fulfilled" ? [path.value] : [])));
  }
}
