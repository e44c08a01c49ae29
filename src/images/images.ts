/**
 * The images room's service: makes and removes images. It keeps no records: what
 * it returns are the facts of what it published, and names are the caller's.
 */

import { join } from "node:path";
import { createClock } from "../lib/clock.ts";
import { removeLeftovers, withTemporaryDirectory } from "../lib/publish.ts";
import { SharedWork, type Waiter } from "../lib/shared-work.ts";
import { BangerError } from "../model/errors.ts";
import type { PruneItem } from "../model/image-prune.ts";
import { exportLayout } from "./archive/export-layout.ts";
import { exportRootfs } from "./archive/export-rootfs.ts";
import { sweepBlobs, UNUSED_BLOB_MS, unusedBlobs } from "./blob-sweep.ts";
import { BlobUse } from "./blob-use.ts";
import { type Image, ImageBlobs } from "./blobs.ts";
import type { Recipe } from "./catalog.ts";
import { commitDisk } from "./commit.ts";
import { buildDebianRootfs } from "./debian.ts";
import {
  type ImportOptions,
  type ImportPlaces,
  importStream,
  importTar,
  type StreamOptions,
} from "./import.ts";
import { BlobStore } from "./oci/blob-store.ts";
import { RegistryPuller, type RegistryPullerOptions } from "./registry/pull.ts";
import { RegistryImages, type RegistryPullOptions } from "./registry-images.ts";
import type { ImageLimits } from "./tar/limits.ts";
import { type Verified, verifyImages } from "./verify.ts";

export interface ImagesOptions {
  /** Content-addressed root file systems; created when absent, as is the next. */
  readonly imagesDir: string;
  /** For what is of no use after a crash. */
  readonly cacheDir: string;
  /** Where the host's apt sources are looked up; default `/etc/apt`. */
  readonly etcAptDir?: string;
  /** How registries are reached; default: as their names say, with nobody logged in. */
  readonly registry?: Omit<RegistryPullerOptions, "store">;
  /** What images of strangers may have. */
  readonly limits?: ImageLimits;
  /** Hears of every step before it is done. */
  readonly onStep?: (step: string) => void;
  /** The slow makers, for tests to replace. */
  readonly builders?: Partial<ImageBuilders>;
}

export interface ImageBuilders {
  readonly debianRootfs: typeof buildDebianRootfs;
}

type DebianRecipe = Extract<Recipe, { kind: "debian" }>;

export class Images {
  private readonly options: ImagesOptions;
  private readonly blobs: ImageBlobs;
  private readonly store: BlobStore;
  private readonly registry: RegistryImages;
  private readonly builders: ImageBuilders;
  private readonly pulls = new SharedWork<Image>();
  private readonly use = new BlobUse();

  constructor(options: ImagesOptions) {
    this.options = options;
    this.blobs = new ImageBlobs(options.imagesDir, options.onStep);
    this.store = new BlobStore(join(options.imagesDir, "blobs"));
    const registry = options.registry ?? {
      registries: {},
      trust: { certsDirs: [] },
      env: {},
      clock: createClock(),
    };
    this.registry = new RegistryImages({
      store: this.store,
      use: this.use,
      blobs: this.blobs,
      puller: new RegistryPuller({ ...registry, store: this.store }),
      limits: options.limits,
    });
    this.builders = { debianRootfs: buildDebianRootfs, ...options.builders };
  }

  /**
   * Makes an image of Debian's packages anew, even when an earlier build is there. Two builds of one name share the work,
   * and either may be aborted alone. Errors: those of the build: `unavailable`, `resource_exhausted`, `cancelled`.
   */
  async build(name: string, recipe: DebianRecipe, waiter: Waiter = {}): Promise<Image> {
    const { suite, base, packages, finish, config } = recipe;
    return this.pulls.run(name, waiter, async (context) => {
      await this.blobs.removeLeftovers();
      const source = name === "debian" ? `debian ${suite}` : `debian ${suite} (${name})`;
      return this.blobs.publish({ config, source }, (path) =>
        this.builders.debianRootfs(path, {
          ...context,
          suite,
          base,
          packages,
          finish,
          etcAptDir: this.options.etcAptDir ?? "/etc/apt",
        }),
      );
    });
  }

  /** Fetches an image from its registry; see `RegistryImages.pull`. */
  async pullReference(reference: string, options: RegistryPullOptions): Promise<Image> {
    return this.registry.pull(reference, options);
  }

  /** Imports an archive of images or a root file system; see `importTar` for errors. */
  async importTar(path: string, options: ImportOptions = {}): Promise<Image> {
    return this.use.hold(async () => importTar(path, this.places(), { ...this.limits(), ...options }));
  }

  /** The same for what a pipe brings. */
  async importStream(stream: AsyncIterable<Buffer>, options: StreamOptions): Promise<Image> {
    return this.use.hold(async () => importStream(stream, this.places(), { ...this.limits(), ...options }));
  }

  /**
   * The image as an OCI layout with the blobs that it came with, called `name` inside. Errors: `failed_precondition` (it was
   * not made of an OCI image).
   */
  async exportLayout(digest: string, name: string): Promise<AsyncIterable<Uint8Array>> {
    const { oci } = await this.blobs.read(digest);
    if (oci !== undefined)
      return exportLayout({ store: this.store, manifestDigest: oci.manifestDigest, name });
    throw new BangerError("failed_precondition", `the image ${name} was not made of an OCI image`, {
      cure: `export its files instead: banger image export --format rootfs ${name} FILE`,
    });
  }

  /** The root file system as a tar. Errors: those of `exportRootfs`. */
  async exportRootfs(digest: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return exportRootfs((await this.blobs.read(digest)).rootfsPath, signal);
  }

  /** The facts of an image. Errors: `not_found`, `invalid_argument` (not a digest). */
  async image(digest: string): Promise<Image> {
    return this.blobs.read(digest);
  }

  /** The digests of all images on disk. */
  async digests(): Promise<string[]> {
    return this.blobs.list();
  }

  /** It has a name from here on. */
  markNamed(digest: string): void {
    this.blobs.markNamed(digest);
  }

  /** Its last name is about to go. */
  markNameless(digest: string): void {
    this.blobs.markNameless(digest);
  }

  /** It got no name yet, or its last one was taken from it. */
  isNameless(digest: string): boolean {
    return this.blobs.isNameless(digest);
  }

  /** Of the root file system; 0 when its description cannot be read. */
  async sizeOf(digest: string): Promise<number> {
    const image = await this.blobs.read(digest).catch(() => undefined); // `verify` says what is wrong with it.
    return image?.sizeBytes ?? 0;
  }

  /** The blobs that an image came with; 0 bytes: it is gone. */
  async blobSizes({ oci }: Image): Promise<{ readonly digest: string; readonly sizeBytes: number }[]> {
    const sizes = (oci?.blobs ?? []).map(async (digest) => ({
      digest,
      sizeBytes: await this.store.sizeOf(digest),
    }));
    return await Promise.all(sizes);
  }

  /** Blobs that no image but those of `without` is made of, and beginnings of downloads; whether they could go now. */
  async unusedBlobs(without: readonly string[] = []): Promise<PruneItem[]> {
    const fate = this.use.busy
      ? { names: [], removed: false, reason: "a pull or an import is under way" }
      : { names: [], removed: true, reason: "no image is made of it" };
    const digests = await unusedBlobs(this.store, this.blobs, without);
    const blobs = digests.map(async (id): Promise<PruneItem> => {
      return { kind: "blob", id, sizeBytes: await this.store.sizeOf(id), ...fate };
    });
    const partials = (await this.store.partials()).map(
      ({ name, sizeBytes }): PruneItem => ({ kind: "download", id: name, sizeBytes, ...fate }),
    );
    return [...(await Promise.all(blobs)), ...partials];
  }

  /** Removes what `unusedBlobs` names, unless blobs are in use. */
  async removeUnusedBlobs(): Promise<void> {
    await this.use.removeIfIdle(async () => {
      await sweepBlobs(this.store, this.blobs, { olderThanMs: 0 });
      await this.store.removePartials();
    });
  }

  /**
   * Makes an image of the VM that `copyDisk` copies the disk of, into the path that it is given; it answers with the digest of
   * the image that the VM was made from. Errors: those of `copyDisk` and of `commitDisk`.
   */
  async commit(
    copyDisk: (to: string) => Promise<{ readonly digest: string }>,
    options: Waiter & { readonly source: string },
  ): Promise<Image> {
    return await this.use.hold(
      async () =>
        // Beside the images: disks are as large as they.
        await withTemporaryDirectory(this.options.imagesDir, async (dir) => {
          const diskPath = join(dir, "disk.ext4");
          options.onStage?.("copying the disk");
          const { digest } = await copyDisk(diskPath);
          const base = await this.blobs.read(digest);
          const places = { blobs: this.blobs, store: this.store };
          return await commitDisk(places, {
            ...options,
            ...this.limits(),
            diskPath,
            base,
            nowMs: Date.now(),
          });
        }),
    );
  }

  /** See `verifyImages`. */
  async verify(waiter: Waiter = {}): Promise<Verified> {
    return await this.use.hold(async () => await verifyImages(this.blobs, this.store, waiter));
  }

  /** Removes an image that no VM uses, which the caller knows, and the blobs that only it was made of. One that is not there is fine. */
  async remove(digest: string): Promise<void> {
    await this.blobs.remove(digest);
    // While they are in use they wait for the next removal.
    await this.use.removeIfIdle(async () => await sweepBlobs(this.store, this.blobs, { olderThanMs: 0 }));
  }

  private places(): ImportPlaces {
    return { blobs: this.blobs, store: this.store, scratchDir: this.options.cacheDir };
  }

  private limits(): { limits?: ImageLimits } {
    return this.options.limits === undefined ? {} : { limits: this.options.limits };
  }

  /** Removes what crashed builds left, everywhere; safe at any time. Returns the removed names. */
  async removeLeftovers(): Promise<string[]> {
    const { cacheDir } = this.options;
    const unused = await this.use.removeIfIdle(async () => [
      ...(await this.store.removeLeftovers()),
      ...(await sweepBlobs(this.store, this.blobs, { olderThanMs: UNUSED_BLOB_MS })),
    ]);
    return [...(await this.blobs.removeLeftovers()), ...(unused ?? []), ...(await removeLeftovers(cacheDir))];
  }
}
