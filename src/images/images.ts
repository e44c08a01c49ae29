/**
 * The images room's service: makes and removes images, kernels and initramfs files. It keeps no records: what
 * it returns are the facts of what it published, and names are the caller's.
 */
import { removeLeftovers } from "../lib/publish.ts";
import { SharedWork, type Waiter } from "../lib/shared-work.ts";
import { type Image, ImageBlobs } from "./blobs.ts";
import { findCatalogEntry } from "./catalog.ts";
import { buildDebianRootfs } from "./debian.ts";
import { type ImportOptions, importTar } from "./import.ts";
import { createInitramfs } from "./initramfs.ts";
import { buildDebianKernel } from "./kernel-build.ts";
import { type Kernel, listKernels } from "./kernel-store.ts";

export interface ImagesOptions {
  /** Content-addressed root file systems; created when absent, as are the next two. */
  readonly imagesDir: string;
  readonly kernelsDir: string;
  /** For what can be made again: initramfs files. */
  readonly cacheDir: string;
  /** The guest agent's static binary. */
  readonly agentPath: string;
  /** Where the host's apt sources are looked up; default `/etc/apt`. */
  readonly etcAptDir?: string;
  /** The slow makers, for tests to replace. */
  readonly builders?: Partial<ImageBuilders>;
}

export interface ImageBuilders {
  readonly debianRootfs: typeof buildDebianRootfs;
  readonly debianKernel: typeof buildDebianKernel;
}

export class Images {
  private readonly options: ImagesOptions;
  private readonly blobs: ImageBlobs;
  private readonly builders: ImageBuilders;
  private readonly pulls = new SharedWork<Image>();
  private readonly kernels = new SharedWork<Kernel>();

  constructor(options: ImagesOptions) {
    this.options = options;
    this.blobs = new ImageBlobs(options.imagesDir);
    this.builders = { debianRootfs: buildDebianRootfs, debianKernel: buildDebianKernel, ...options.builders };
  }

  /**
   * Makes a catalog's image anew, even when an earlier build is there. Two pulls of one name share the work,
   * and either may be aborted alone. Errors: `not_found` (not in the catalog), and those of the build:
   * `unavailable`, `resource_exhausted`, `cancelled`.
   */
  async pull(name: string, waiter: Waiter = {}): Promise<Image> {
    const { recipe } = findCatalogEntry(name);
    return this.pulls.run(name, waiter, async (context) => {
      await this.blobs.removeLeftovers();
      return this.blobs.publish({ config: {}, source: `${recipe.kind} ${recipe.suite}` }, (path) =>
        this.builders.debianRootfs(path, {
          ...context,
          suite: recipe.suite,
          etcAptDir: this.options.etcAptDir ?? "/etc/apt",
        }),
      );
    });
  }

  /** Imports a root file system's tar; see `importTar` for errors. */
  async importTar(path: string, options: ImportOptions = {}): Promise<Image> {
    return importTar(path, this.blobs, options);
  }

  /** The facts of an image. Errors: `not_found`, `invalid_argument` (not a digest). */
  async image(digest: string): Promise<Image> {
    return this.blobs.read(digest);
  }

  /** The digests of all images on disk. */
  async digests(): Promise<string[]> {
    return this.blobs.list();
  }

  /** Removes an image that no VM uses, which the caller knows. One that is not there is fine. */
  async remove(digest: string): Promise<void> {
    await this.blobs.remove(digest);
  }

  /** The newest kernel; Debian's is built when there is none. Errors: those of `buildDebianKernel`. */
  async kernel(waiter: Waiter = {}): Promise<Kernel> {
    const [newest] = await listKernels(this.options.kernelsDir);
    return newest ?? this.pullKernel(waiter);
  }

  /** Builds Debian's current kernel, even when there is one. Shared like `pull`. */
  async pullKernel(waiter: Waiter = {}): Promise<Kernel> {
    return this.kernels.run("debian", waiter, async (context) => {
      await removeLeftovers(this.options.kernelsDir);
      return this.builders.debianKernel(this.options.kernelsDir, context);
    });
  }

  /**
   * The initramfs for a kernel, built when it is not there. Errors: `unavailable` (no agent),
   * `resource_exhausted`.
   */
  async initramfs(kernel: Pick<Kernel, "id" | "modules">): Promise<string> {
    return createInitramfs({ agentPath: this.options.agentPath, kernel, dir: this.options.cacheDir });
  }

  /** Removes what crashed builds left, everywhere; safe at any time. Returns the removed names. */
  async removeLeftovers(): Promise<string[]> {
    const { kernelsDir, cacheDir } = this.options;
    return [
      ...(await this.blobs.removeLeftovers()),
      ...(await removeLeftovers(kernelsDir)),
      ...(await removeLeftovers(cacheDir)),
    ];
  }
}
