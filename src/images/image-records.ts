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
  /** Whether something without a record may need an image that nothing else does. */
  readonly keepsAll: () => boolean;
  /** Hears of every step before it is done. */
  readonly onStep: (step: string) => void;
}

export class ImageRecords {
  readonly #options: ImageRecordsOptions;
  /** Who makes content that has no name yet. */
  #makers = 0;
  /** Digests that lost their last name meanwhile. */
  readonly #doomed = new Set<string>();
  readonly #removals = new Set<Promise<void>>();

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

  /** Names of VMs and snapshots made from it, at most five of each. */
  usersByKind(digest: string): { readonly vms: readonly string[]; readonly snapshots: readonly string[] } {
    const { vms, snapshots } = this.#options.store;
    return { vms: vms.usersOfImage(digest), snapshots: snapshots.usersOfImage(digest) };
  }

  /** The same as words: the names of VMs, and `the snapshot NAME`. */
  users(digest: string): string[] {
    const { vms, snapshots } = this.usersByKind(digest);
    return [...vms, ...snapshots.map((snapshot) => `the snapshot ${snapshot}`)];
  }

  /**
   * Runs work that makes or reads content: none is removed meanwhile. What loses its last name then goes when the last such
   * work has ended.
   */
  async keeping<T>(work: () => Promise<T>): Promise<T> {
    this.#makers += 1;
    try {
      await Promise.all(this.#removals);
      return await work();
    } finally {
      this.#makers -= 1;
      const doomed = this.#makers > 0 ? [] : [...this.#doomed];
      for (const digest of doomed) await this.removeUnused(digest);
    }
  }

  /** Makes `name` stand for the image; what it stood for goes when nothing else wants it. In `keeping`. */
  async record(name: string, image: Image): Promise<ImageRecord> {
    const { store, images, onStep } = this.#options;
    const record: ImageRecord = {
      name,
      digest: image.digest,
      sizeBytes: image.sizeBytes,
      source: image.source,
      config: image.config,
      createdAt: image.createdAtMs,
    };
    onStep("image:record");
    const before = store.images.byName(name);
    if (before !== undefined && before.digest !== record.digest) this.#loses(before);
    store.images.upsert(record);
    onStep("image:named");
    images.markNamed(record.digest);
    if (before !== undefined) await this.removeUnused(before.digest);
    onStep("image:recorded");
    return record;
  }

  /** Forgets the name, and its content when nothing else wants it. */
  async forget(record: ImageRecord): Promise<void> {
    this.#loses(record);
    this.#options.onStep("image:forget");
    this.#options.store.images.remove(record.name);
    await this.removeUnused(record.digest);
    this.#options.onStep("image:forgotten");
  }

  /** Neither a name nor a VM refers to it, and nobody took its name from it: its record was lost. */
  isLost(digest: string): boolean {
    const isWanted = this.names(digest).length > 0 || this.users(digest).length > 0;
    return !isWanted && !this.#options.images.isNameless(digest);
  }

  /** Why content that nothing refers to is kept all the same, as a phrase. */
  whyKept(digest: string): string | undefined {
    if (this.isLost(digest)) return `its record was lost; give it a name: banger image tag ${digest} NAME`;
    return this.#options.keepsAll() ? "what has no record may need it (see: banger doctor)" : undefined;
  }

  /** What a crash cut off: content that nothing refers to goes, unless there is a reason to keep it; what has a name says so. */
  async settle(digest: string): Promise<void> {
    if (this.names(digest).length > 0) this.#options.images.markNamed(digest);
    else if (this.whyKept(digest) === undefined) await this.removeUnused(digest);
  }

  /** Before a name goes. */
  #loses({ name, digest }: ImageRecord): void {
    if (this.names(digest).every((one) => one === name)) this.#options.images.markNameless(digest);
  }

  /** Removes content that no name and no VM refers to, as soon as nobody makes any. Safe to repeat. */
  async removeUnused(digest: string): Promise<void> {
    this.#doomed.delete(digest);
    if (this.names(digest).length > 0 || this.users(digest).length > 0) return;
    if (this.#makers > 0) {
      this.#doomed.add(digest);
      return;
    }
    this.#options.onStep("image:remove");
    const removal = this.#options.images.remove(digest);
    const settled = removal.then(
      () => undefined,
      () => undefined, // Whoever waits for it only waits for its end.
    );
    this.#removals.add(settled);
    await removal.finally(() => this.#removals.delete(settled));
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
