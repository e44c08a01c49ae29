/** Images by name: the records beside the content, and what a start needs of them. */
import { existsSync } from "node:fs";
import type { BootFiles, ImageSource, KernelChoice, LongOptions, ReadyImage } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import type { PruneItem } from "../model/image-prune.ts";
import { validateImageName } from "../model/image-reference.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Store } from "../store/store.ts";
import type { Catalog } from "./catalog.ts";
import { type PruneOptions, pruneImages } from "./image-prune.ts";
import { fullName, ImageRecords } from "./image-records.ts";
import type { CommittedVm, ExplainedDamage, ImageDetails, VerifyReport } from "./image-reports.ts";
import type { Images } from "./images.ts";
import type { KernelService } from "./kernel-service.ts";
import { type Platform, parsePlatform, validateRunnable } from "./oci/platform.ts";
import type { Damage } from "./verify.ts";

export interface PullImageOptions extends LongOptions {
  /** `os/architecture`; absent: what runs here. */
  readonly platform?: string | undefined;
}

export interface ImageServiceOptions {
  readonly images: Images;
  readonly store: Store;
  readonly catalog: Catalog;
  readonly kernels: KernelService;
  /** Whether something without a record may need an image that nothing else does. */
  readonly keepsAll?: () => boolean;
  /** Hears of every step before it is done. */
  readonly onStep?: (step: string) => void;
}

export class ImageService implements ImageSource {
  readonly #images: Images;
  readonly #catalog: Catalog;
  readonly #kernels: KernelService;
  readonly #records: ImageRecords;
  /** Content that was read once; it never changes. */
  readonly #ready = new Map<string, ReadyImage>();

  constructor(options: ImageServiceOptions) {
    this.#images = options.images;
    this.#catalog = options.catalog;
    this.#kernels = options.kernels;
    this.#records = new ImageRecords({ onStep: () => undefined, keepsAll: () => false, ...options });
  }

  list(): readonly ImageRecord[] {
    return this.#records.list();
  }

  /** What can be made by name. */
  available(): { readonly name: string; readonly description: string; readonly here: boolean }[] {
    return this.#catalog.list().map(({ name, description }) => {
      return { name, description, here: this.#records.find(name) !== undefined };
    });
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
    return await this.#records.keeping(async () => await this.#pull(name, { ...options, platform }));
  }

  async #pull(
    name: string,
    { platform, ...options }: LongOptions & { readonly platform: Platform | undefined },
  ): Promise<ImageRecord> {
    const { onProgress, signal } = options;
    const wish = { onProgress, signal, platform };
    if (this.#catalog.has(name)) {
      const { recipe } = this.#catalog.get(name);
      const made =
        recipe.kind === "reference"
          ? this.#images.pullReference(recipe.reference, wish)
          : this.#images.build(name, recipe, waiter(options));
      return await this.#records.record(name, await made);
    }
    const image = await this.#images.pullReference(name, wish).catch((error: unknown) => {
      throw signal.aborted || name.includes("/") ? error : notHereEither(name, error, this.#catalog.names());
    });
    return await this.#records.record(fullName(name), image);
  }

  /** Makes an image of what a tar holds under `name`, replacing what the name stood for. Errors: those of `importTar`. */
  async importTar(name: string, path: string, options: LongOptions): Promise<ImageRecord> {
    validateImageName(name);
    return await this.#records.keeping(async () => {
      return await this.#records.record(name, await this.#images.importTar(path, waiter(options)));
    });
  }

  /** Makes an image of a VM under `name`, replacing what the name stood for. Errors: those of `Images.commit`. */
  async commit(name: string, vm: CommittedVm, options: LongOptions): Promise<ImageRecord> {
    validateImageName(name);
    const wish = { ...waiter(options), source: `commit ${vm.name}` };
    return await this.#records.keeping(async () => {
      return await this.#records.record(name, await this.#images.commit(vm.copyDisk, wish));
    });
  }

  /**
   * The image as a tar: `oci`, a layout with the blobs that it came with, or `rootfs`, its files. Errors: `not_found`,
   * `failed_precondition` (`oci` of an image that was not made of one), `unavailable` (a program is missing).
   */
  async export(
    name: string,
    { format, signal }: { readonly format: "oci" | "rootfs"; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>> {
    const record = this.#records.get(name);
    return format === "oci"
      ? await this.#images.exportLayout(record.digest, record.name)
      : await this.#images.exportRootfs(record.digest, signal);
  }

  /** Everything about one image. Errors: `not_found`. */
  async show(name: string): Promise<ImageDetails> {
    const record = this.#records.get(name);
    const { digest } = record;
    const image = await this.#images.image(digest).catch((error: unknown) => BangerError.from(error));
    const readable = !(image instanceof BangerError);
    return {
      record,
      names: this.#records.names(digest),
      users: this.#records.users(digest),
      manifestDigest: readable ? image.oci?.manifestDigest : undefined,
      blobs: readable ? await this.#images.blobSizes(image) : [],
      usable: readable && !image.damaged,
    };
  }

  /**
   * Gives an image another name, which may have stood for something else. One that lost its record is named by its digest. Errors: `not_found`,
   * `invalid_argument`.
   */
  async tag(name: string, newName: string): Promise<ImageRecord> {
    validateImageName(newName);
    return await this.#records.keeping(async () => {
      const digest = this.#records.find(name)?.digest ?? this.#lost(name) ?? this.#records.get(name).digest;
      return await this.#records.record(newName, await this.#images.image(digest));
    });
  }

  /**
   * Forgets a name, and its content when no other name and no VM uses it. Errors: `not_found`, `failed_precondition`
   * when a VM was made from it and this is its last name.
   */
  async remove(name: string): Promise<ImageRecord> {
    const record = this.#records.get(name);
    const shared = this.#records.names(record.digest).length > 1;
    const { vms, snapshots } = this.#records.usersByKind(record.digest);
    const users = this.#records.users(record.digest);
    if (!shared && users.length > 0) {
      throw new BangerError("failed_precondition", `the image ${name} is used by ${users.join(", ")}`, {
        cure:
          vms.length > 0
            ? `remove them first with: banger rm ${vms.join(" ")}`
            : `remove them first with: banger snapshot rm ${snapshots.join(" ")}`,
        details: { vms, snapshots },
      });
    }
    await this.#records.forget(record);
    this.#ready.clear();
    return record;
  }

  /** See `pruneImages`; and `sweep`, unless it only is to say what would go. */
  async prune(options: PruneOptions): Promise<PruneItem[]> {
    const items = await pruneImages(this.#images, this.#records, options);
    if (!options.dryRun) await this.sweep();
    this.#ready.clear();
    return items;
  }

  /** See `verifyImages`; what is damaged comes with the names that stand for it and the cure. */
  async verify(options: LongOptions): Promise<VerifyReport> {
    const { images, gone } = await this.#records.keeping(async () => {
      return { gone: await this.#gone(), images: await this.#images.verify(waiter(options)) };
    });
    const kernels = await this.#kernels.verify(waiter(options));
    this.#ready.clear();
    const damages = [...images.damages, ...gone, ...kernels.damages];
    return {
      checked: images.checked + kernels.checked,
      damages: damages.map((damage) => this.#explain(damage)),
    };
  }

  /** Images that have a name and no content at all. In `keeping`. */
  async #gone(): Promise<Damage[]> {
    const named = new Set(this.#records.list().map(({ digest }) => digest));
    const here = await this.#images.digests();
    return [...named]
      .filter((digest) => !here.includes(digest))
      .map((digest) => ({ kind: "image", id: digest, problem: "all of it is gone", images: [digest] }));
  }

  #explain(damage: Damage): ExplainedDamage {
    const names = damage.images.flatMap((digest) => this.#records.names(digest));
    // Without a blob an image still boots; it cannot be exported.
    const vms = damage.kind === "image" ? this.#records.users(damage.id) : [];
    return { ...damage, names, vms, cure: this.#cureOf(damage, names[0]) };
  }

  #cureOf(damage: Damage, name: string | undefined): string {
    if (damage.kind === "kernel") return "remove it, then pull or import it again: banger kernel rm NAME";
    if (name === undefined) return "nothing is made of it: banger image prune";
    return this.#remake(name);
  }

  #remake(name: string): string {
    const local = /^(?:import|commit) /u.test(this.#records.get(name).source);
    return local
      ? `make it again as it was made: banger image import ${name} TAR`
      : `fetch it again: banger image pull ${name}`;
  }

  /** Removes what crashes left: half-made builds, and content whose last name was taken from it and that no VM refers to. */
  async sweep(): Promise<void> {
    await this.#images.removeLeftovers();
    await this.#kernels.sweep();
    for (const digest of await this.#images.digests()) await this.#records.settle(digest);
  }

  /** Digests of images whose records were lost. */
  async unrecorded(): Promise<string[]> {
    return (await this.#images.digests()).filter((digest) => this.#records.isLost(digest));
  }

  /** The digest of an image that lost its record. */
  #lost(digest: string): string | undefined {
    return /^[0-9a-f]{64}$/u.test(digest) && this.#records.isLost(digest) ? digest : undefined;
  }

  async ensure(name: string, options: LongOptions): Promise<ReadyImage> {
    validateImageName(name);
    const known = this.#records.find(name) ?? (await this.pull(name, options));
    return await this.byDigest(known.digest);
  }

  async byDigest(digest: string): Promise<ReadyImage> {
    const known = this.#ready.get(digest);
    // Its content never changes, and may be deleted all the same.
    if (known !== undefined && existsSync(known.rootfsPath)) return known;
    const ready = await this.#read(digest);
    this.#ready.set(digest, ready);
    return ready;
  }

  /** See `KernelService.ensure`. */
  async ensureKernel(choice: KernelChoice, options: LongOptions): Promise<void> {
    await this.#kernels.ensure(choice, options);
  }

  async bootFiles(choice: KernelChoice, options: LongOptions): Promise<BootFiles> {
    return await this.#kernels.bootFiles(choice, options);
  }

  async #read(digest: string): Promise<ReadyImage> {
    try {
      const { config, rootfsPath, damaged } = await this.#images.image(digest);
      if (damaged) throw this.#unusable(digest, "damaged");
      if (existsSync(rootfsPath)) return { digest, config, rootfsPath };
    } catch (error) {
      if (BangerError.from(error).code !== "not_found") throw error;
    }
    throw this.#unusable(digest, "gone");
  }

  #unusable(digest: string, why: "damaged" | "gone"): BangerError {
    const [name] = this.#records.names(digest);
    const shown = `${name ?? "without a name"} (${digest.slice(0, 12)})`;
    return new BangerError("failed_precondition", `the content of the image ${shown} is ${why}`, {
      cure:
        name === undefined ? "make the same image again, or restore it from a backup" : this.#remake(name),
    });
  }
}

function waiter(options: LongOptions): { signal: AbortSignal; onStage: (text: string) => void } {
  return { signal: options.signal, onStage: (text) => options.onProgress({ event: "note", text }) };
}

/** A name without a registry may be a slip in the name of an image that is here or in the catalog. */
function notHereEither(name: string, thrown: unknown, available: readonly string[]): BangerError {
  const error = BangerError.from(thrown);
  if (error.code !== "not_found" && error.code !== "permission_denied" && error.code !== "unavailable")
    return error;
  return new BangerError(
    error.code,
    `there is no image ${name} here or in the catalog, and ${error.message}`,
    {
      cure: `list the images with: banger image ls; the catalog has: ${available.join(", ")}`,
      details: error.details,
      cause: error,
    },
  );
}
