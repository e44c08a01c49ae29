/** Images by name: the records beside the content, and what a start needs of them. */
import type { BootFiles, ImageSource, LongOptions, ReadyImage } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import { parseImageReference, showImageReference, validateImageName } from "../model/image-reference.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Store } from "../store/store.ts";
import type { Image } from "./blobs.ts";
import { CATALOG, isInCatalog } from "./catalog.ts";
import type { Images } from "./images.ts";
import { parsePlatform, validateRunnable } from "./oci/platform.ts";

export interface PullImageOptions extends LongOptions {
  /** `os/architecture`; absent: what runs here. */
  readonly platform?: string | undefined;
}

export interface ImageServiceOptions {
  readonly images: Images;
  readonly store: Store;
}

export class ImageService implements ImageSource {
  readonly #images: Images;
  readonly #store: Store;
  /** Content that was read once; it never changes. */
  readonly #ready = new Map<string, ReadyImage>();

  constructor(options: ImageServiceOptions) {
    this.#images = options.images;
    this.#store = options.store;
  }

  list(): readonly ImageRecord[] {
    return this.#store.images.list();
  }

  /**
   * Builds a catalog image under its name, or fetches one from its registry under its whole reference:
   * `docker.io/library/alpine:latest`. Errors: those of `Images.pull` and `Images.pullReference`; `unsupported` for a platform
   * that cannot run here.
   */
  async pull(name: string, options: PullImageOptions): Promise<ImageRecord> {
    validateImageName(name);
    const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
    if (platform !== undefined) validateRunnable(platform, "the platform that was asked for");
    if (isInCatalog(name)) return await this.#record(name, await this.#images.pull(name, waiter(options)));
    const { onProgress, signal } = options;
    const image = await this.#images
      .pullReference(name, { onProgress, signal, platform })
      .catch((error: unknown) => {
        throw signal.aborted || name.includes("/") ? error : notHereEither(name, error);
      });
    return await this.#record(fullName(name), image);
  }

  /** Makes an image of what a tar holds under `name`, replacing what the name stood for. Errors: those of `importTar`. */
  async importTar(name: string, path: string, options: LongOptions): Promise<ImageRecord> {
    validateImageName(name);
    return await this.#record(name, await this.#images.importTar(path, waiter(options)));
  }

  /**
   * The image as a tar: `oci`, a layout with the blobs that it came with, or `rootfs`, its files. Errors: `not_found`,
   * `failed_precondition` (`oci` of an image that was not made of one), `unavailable` (a program is missing).
   */
  async export(
    name: string,
    { format, signal }: { readonly format: "oci" | "rootfs"; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>> {
    const record = this.#find(name);
    if (record === undefined) throw unknownImage(name);
    return format === "oci"
      ? await this.#images.exportLayout(record.digest, record.name)
      : await this.#images.exportRootfs(record.digest, signal);
  }

  /**
   * Forgets a name, and its content when no other name and no VM uses it. Errors: `not_found`, `failed_precondition`
   * when a VM was made from it and this is its last name.
   */
  async remove(name: string): Promise<ImageRecord> {
    const record = this.#find(name);
    if (record === undefined) throw unknownImage(name);
    const shared = this.#store.images.byDigest(record.digest).length > 1;
    const users = this.#store.vms.usersOfImage(record.digest);
    if (!shared && users.length > 0) {
      throw new BangerError("failed_precondition", `the image ${name} is used by ${users.join(", ")}`, {
        cure: `remove them first with: banger rm ${users.join(" ")}`,
        details: { vms: users },
      });
    }
    this.#store.images.remove(record.name);
    await this.#removeUnused(record.digest);
    return record;
  }

  /** Removes what crashes left: half-made builds, and content that no name and no VM refers to. */
  async sweep(): Promise<void> {
    await this.#images.removeLeftovers();
    for (const digest of await this.#images.digests()) await this.#removeUnused(digest);
  }

  async ensure(name: string, options: LongOptions): Promise<ReadyImage> {
    validateImageName(name);
    const known = this.#find(name) ?? (await this.pull(name, options));
    return await this.byDigest(known.digest);
  }

  async byDigest(digest: string): Promise<ReadyImage> {
    const known = this.#ready.get(digest);
    if (known !== undefined) return known;
    const ready = await this.#read(digest);
    this.#ready.set(digest, ready);
    return ready;
  }

  async bootFiles(options: LongOptions): Promise<BootFiles> {
    const kernel = await this.#images.kernel(waiter(options));
    return { kernelPath: kernel.vmlinuxPath, initramfsPath: await this.#images.initramfs(kernel) };
  }

  /** By the name as it is, else as a reference; a name of the catalog means the catalog's. */
  #find(name: string): ImageRecord | undefined {
    const found = this.#store.images.byName(name);
    return found ?? (isInCatalog(name) ? undefined : this.#store.images.byName(fullName(name)));
  }

  async #record(name: string, image: Image): Promise<ImageRecord> {
    const record: ImageRecord = {
      name,
      digest: image.digest,
      sizeBytes: image.sizeBytes,
      source: image.source,
      config: image.config,
      createdAt: image.createdAtMs,
    };
    const before = this.#store.images.byName(name);
    this.#store.images.upsert(record);
    if (before !== undefined) await this.#removeUnused(before.digest);
    return record;
  }

  async #removeUnused(digest: string): Promise<void> {
    if (this.#store.images.byDigest(digest).length > 0 || this.#store.vms.usersOfImage(digest).length > 0)
      return;
    this.#ready.delete(digest);
    await this.#images.remove(digest);
  }

  async #read(digest: string): Promise<ReadyImage> {
    try {
      const { config, rootfsPath } = await this.#images.image(digest);
      return { digest, config, rootfsPath };
    } catch (error) {
      if (BangerError.from(error).code !== "not_found") throw error;
      const name = this.#store.images.byDigest(digest)[0]?.name ?? "NAME";
      throw new BangerError(
        "failed_precondition",
        `the content of the image ${name} (${digest.slice(0, 12)}) is gone`,
        {
          cure: `make it anew with: banger image pull ${name}`,
          cause: error,
        },
      );
    }
  }
}

/** The whole reference; a name that is none stays as it is. */
function fullName(name: string): string {
  try {
    return showImageReference(parseImageReference(name));
  } catch (error) {
    // An import may be called what no registry could call it.
    if (BangerError.from(error).code === "invalid_argument") return name;
    throw error;
  }
}

function waiter(options: LongOptions): { signal: AbortSignal; onStage: (text: string) => void } {
  return { signal: options.signal, onStage: (text) => options.onProgress({ event: "note", text }) };
}

/** A name without a registry may be a slip in the name of an image that is here or in the catalog. */
function notHereEither(name: string, thrown: unknown): BangerError {
  const error = BangerError.from(thrown);
  if (error.code !== "not_found" && error.code !== "permission_denied" && error.code !== "unavailable")
    return error;
  const names = CATALOG.map((entry) => entry.name).join(", ");
  return new BangerError(
    error.code,
    `there is no image ${name} here or in the catalog, and ${error.message}`,
    {
      cure: `list the images with: banger image ls; the catalog has: ${names}`,
      details: error.details,
      cause: error,
    },
  );
}

function unknownImage(name: string): BangerError {
  return new BangerError("not_found", `there is no image named ${name}`, {
    cure: "list the images with: banger image ls",
  });
}
