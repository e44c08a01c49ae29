/** Names and what they stand for: the one place that decides whether content is still wanted. */
import { BangerError } from "../model/errors.ts";
import { parseImageReference, showImageReference } from "../model/image-reference.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Store } from "../store/store.ts";
import type { Image } from "./blobs.ts";
import type { Catalog } from "./catalog.ts";
import type { Images } from "./images.ts";

export interface ImageRecordsOptions {
  readonly images: Images;
  readonly store: Store;
  readonly catalog: Catalog;
  /** Hears of every step before it is done. */
  readonly onStep: (step: string) => void;
}

export class ImageRecords {
  readonly #options: ImageRecordsOptions;
  /** Content that is removed right now, so that whoever is about to name it waits. */
  readonly #removals = new Map<string, Promise<void>>();

  constructor(options: ImageRecordsOptions) {
    this.#options = options;
  }

  list(): readonly ImageRecord[] {
    return this.#options.store.images.list();
  }

  /** By the name as it is, else as a reference; a name of the catalog means the catalog's. */
  find(name: string): ImageRecord | undefined {
    const { store, catalog } = this.#options;
    const found = store.images.byName(name);
    return found ?? (catalog.has(name) ? undefined : store.images.byName(fullName(name)));
  }

  /** Errors: `not_found`. */
  get(name: string): ImageRecord {
    const found = this.find(name);
    if (found !== undefined) return found;
    throw new BangerError("not_found", `there is no image named ${name}`, {
      cure: "list the images with: banger image ls",
    });
  }

  names(digest: string): string[] {
    return this.#options.store.images.byDigest(digest).map((record) => record.name);
  }

  /** Names of VMs made from it, at most five. */
  users(digest: string): string[] {
    return this.#options.store.vms.usersOfImage(digest);
  }

  /** Makes `name` stand for the image; what it stood for goes when nothing else wants it. Errors: `conflict` (just removed). */
  async record(name: string, image: Image): Promise<ImageRecord> {
    const { store, onStep } = this.#options;
    const record: ImageRecord = {
      name,
      digest: image.digest,
      sizeBytes: image.sizeBytes,
      source: image.source,
      config: image.config,
      createdAt: image.createdAtMs,
    };
    if (this.#removals.has(image.digest)) {
      throw new BangerError("conflict", `the content of the image ${name} is just being removed`, {
        cure: "repeat the command",
      });
    }
    onStep("image:record");
    const before = store.images.byName(name);
    store.images.upsert(record);
    if (before !== undefined) await this.removeUnused(before.digest);
    onStep("image:recorded");
    return record;
  }

  /** Forgets the name, and its content when nothing else wants it. */
  async forget(record: ImageRecord): Promise<void> {
    this.#options.onStep("image:forget");
    this.#options.store.images.remove(record.name);
    await this.removeUnused(record.digest);
    this.#options.onStep("image:forgotten");
  }

  /** Removes content that no name and no VM refers to; true when it did. Safe to repeat. */
  async removeUnused(digest: string): Promise<boolean> {
    if (this.names(digest).length > 0 || this.users(digest).length > 0) return false;
    this.#options.onStep("image:remove");
    const removal =
      this.#removals.get(digest) ??
      this.#options.images.remove(digest).finally(() => this.#removals.delete(digest));
    this.#removals.set(digest, removal);
    await removal;
    return true;
  }
}

/** The whole reference; a name that is none stays as it is. */
export function fullName(name: string): string {
  try {
    return showImageReference(parseImageReference(name));
  } catch (error) {
    // An import may be called what no registry could call it.
    if (BangerError.from(error).code === "invalid_argument") return name;
    throw error;
  }
}
