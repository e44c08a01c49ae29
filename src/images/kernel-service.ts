/** Kernels by name: where they come from, who uses them, and what a start needs of them. */
import { removeLeftovers } from "../lib/publish.ts";
import { SharedWork, type Waiter } from "../lib/shared-work.ts";
import type { BootFiles, KernelChoice, LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import {
  DEFAULT_KERNEL,
  HOST_KERNEL,
  IMAGE_KERNEL,
  nameOfImageKernel,
  validateNewKernelName,
} from "../model/kernel-names.ts";
import type { KernelRecord } from "../store/kernels.ts";
import type { Store } from "../store/store.ts";
import { BlobUse } from "./blob-use.ts";
import { createInitramfs } from "./initramfs.ts";
import { buildDebianKernel } from "./kernel-build.ts";
import { importHostKernel, importImageKernel, importKernelFiles, type KernelFiles } from "./kernel-import.ts";
import {
  type Kernel,
  kernelIds,
  kernelSize,
  listKernels,
  readKernel,
  removeKernel,
  verifyKernels,
} from "./kernel-store.ts";
import type { Verified } from "./verify.ts";

export interface KernelServiceOptions {
  readonly store: Store;
  /** Created when absent, as is the next. */
  readonly kernelsDir: string;
  /** For what can be made again: initramfs files. */
  readonly cacheDir: string;
  /** The guest agent's static binary. */
  readonly agentPath: string;
  /** Where the root file system of an image is. Errors: `failed_precondition` when it is gone. */
  readonly rootfsOf: (digest: string) => Promise<string>;
  /** The host's own kernel: its root directory and `uname -r`. */
  readonly host: { readonly root: string; readonly release: string };
  /** Hears of every step before it is done. */
  readonly onStep?: (step: string) => void;
  /** For tests. */
  readonly buildDebian?: typeof buildDebianKernel;
}

export interface NamedKernel {
  readonly name: string;
  readonly kernel: Kernel;
  readonly sizeBytes: number;
  /** Names of VMs that boot it, at most five. */
  readonly users: readonly string[];
  /** Why it cannot be booted, and the cure; then `kernel` holds but its id. */
  readonly problem?: string;
}

export class KernelService {
  readonly #options: KernelServiceOptions;
  readonly #work = new SharedWork<Kernel>();
  readonly #use = new BlobUse();

  constructor(options: KernelServiceOptions) {
    this.#options = options;
  }

  /** Damaged ones too: one must not hide the others. */
  async list(): Promise<NamedKernel[]> {
    const named = this.#options.store.kernels.list().map(async (record) => {
      try {
        const kernel = await this.#read(record);
        return kernel === undefined ? [] : [await this.#describe(record.name, kernel)];
      } catch (error) {
        return [this.#damaged(record, BangerError.from(error))];
      }
    });
    return (await Promise.all(named)).flat();
  }

  /** Errors: `not_found`. */
  async show(name: string): Promise<NamedKernel> {
    const record = this.#options.store.kernels.byName(name);
    const kernel = record === undefined ? undefined : await this.#read(record);
    if (kernel === undefined) throw unknownKernel(name);
    return await this.#describe(name, kernel);
  }

  /** Fetches Debian's current cloud kernel, also when there is one; two at once share the work. Errors: those of `buildDebianKernel`. */
  async pull(options: LongOptions): Promise<NamedKernel> {
    const build = this.#options.buildDebian ?? buildDebianKernel;
    return await this.#make(DEFAULT_KERNEL, options, (dir, context) => build(dir, context));
  }

  /** Takes over a kernel from files under `name`. Errors: those of `importKernelFiles`. */
  async importFiles(name: string, files: KernelFiles, options: LongOptions): Promise<NamedKernel> {
    validateNewKernelName(name);
    return await this.#make(name, options, (dir, context) => importKernelFiles(dir, files, context));
  }

  /** Takes over the kernel that the host runs. Errors: those of `importHostKernel`. */
  async importHost(name: string, options: LongOptions): Promise<NamedKernel> {
    validateNewKernelName(name);
    const { host } = this.#options;
    return await this.#make(name, options, (dir, context) => importHostKernel(dir, host, context));
  }

  /** Forgets a name, and the kernel when no other name stands for it. Errors: `not_found`, `failed_precondition` when a VM boots it. */
  async remove(name: string): Promise<KernelRecord> {
    const record = this.#options.store.kernels.byName(name);
    if (record === undefined) throw unknownKernel(name);
    const users = this.#usersOf(name);
    if (users.length > 0) {
      throw new BangerError("failed_precondition", `the kernel ${name} is used by ${users.join(", ")}`, {
        cure: `remove them first with: banger rm ${users.join(" ")}`,
        details: { vms: users },
      });
    }
    await this.#forget(record);
    return record;
  }

  /** Makes sure that what a VM is to boot is there. Errors: `not_found`, and those of its source. */
  async ensure(choice: KernelChoice, options: LongOptions): Promise<Kernel> {
    const { kernel: wanted = DEFAULT_KERNEL, imageDigest } = choice;
    const name = wanted === IMAGE_KERNEL ? nameOfImageKernel(imageDigest) : wanted;
    const record = this.#options.store.kernels.byName(name);
    const known = record === undefined ? await this.#adopt(name) : await this.#read(record);
    if (known !== undefined) return known;
    if (wanted === DEFAULT_KERNEL) return (await this.pull(options)).kernel;
    if (wanted === HOST_KERNEL) return (await this.importHost(HOST_KERNEL, options)).kernel;
    if (wanted !== IMAGE_KERNEL) throw unknownKernel(name);
    const rootfsPath = await this.#options.rootfsOf(imageDigest);
    const source = `image ${imageDigest.slice(0, 12)}`;
    const made = await this.#make(name, options, (dir, context) =>
      importImageKernel(dir, { rootfsPath, source }, context),
    );
    return made.kernel;
  }

  /** Kernel and initramfs of a start. Errors: those of `ensure` and `createInitramfs`. */
  async bootFiles(choice: KernelChoice, options: LongOptions): Promise<BootFiles> {
    const { agentPath, cacheDir } = this.#options;
    const kernel = await this.ensure(choice, options);
    const initramfsPath = await createInitramfs({ agentPath, kernel, dir: cacheDir });
    return { kernelPath: kernel.vmlinuxPath, initramfsPath };
  }

  /** See `verifyKernels`. */
  async verify(waiter: Waiter): Promise<Verified> {
    return await this.#use.hold(async () => await verifyKernels(this.#options.kernelsDir, waiter));
  }

  /** Removes what crashes left, kernels of images that no VM boots, and kernels without a name. Not while one is being made. */
  async sweep(): Promise<void> {
    const { kernelsDir, cacheDir, store } = this.#options;
    await removeLeftovers(cacheDir);
    await this.#adopt(DEFAULT_KERNEL);
    await this.#use.removeIfIdle(async () => {
      await removeLeftovers(kernelsDir);
      for (const { name } of store.kernels.list()) {
        const ofImage = name.startsWith(`${IMAGE_KERNEL}-`);
        if (ofImage && this.#usersOf(name).length === 0) store.kernels.remove(name);
      }
    });
    for (const id of await kernelIds(kernelsDir)) await this.#removeUnused(id);
  }

  async #make(
    name: string,
    { signal, onProgress }: LongOptions,
    work: (kernelsDir: string, context: Waiter) => Promise<Kernel>,
  ): Promise<NamedKernel> {
    const { kernelsDir, onStep = () => undefined } = this.#options;
    const onStage = (text: string): void => onProgress({ event: "note", text });
    const { before, made } = await this.#use.hold(async () => {
      onStep("kernel:make");
      const kernel = await this.#work.run(name, { signal, onStage }, (context) => work(kernelsDir, context));
      onStep("kernel:record");
      const before = this.#record(name, kernel);
      return { before, made: await this.#describe(name, kernel) };
    });
    onStep("kernel:recorded");
    if (before !== undefined) await this.#removeUnused(before.id);
    return made;
  }

  /** Returns what the name stood for. */
  #record(name: string, { id }: Kernel): KernelRecord | undefined {
    const { kernels } = this.#options.store;
    const before = kernels.byName(name);
    kernels.upsert({ name, id, createdAt: Date.now() });
    return before;
  }

  async #forget({ name, id }: KernelRecord): Promise<void> {
    const { onStep = () => undefined, store } = this.#options;
    onStep("kernel:forget");
    store.kernels.remove(name);
    onStep("kernel:remove");
    await this.#removeUnused(id);
    onStep("kernel:removed");
  }

  /** While a kernel is being made, which may turn out to be this one, the next sweep has to do. */
  async #removeUnused(id: string): Promise<void> {
    const { kernelsDir, store } = this.#options;
    await this.#use.removeIfIdle(async () => {
      if (store.kernels.list().some((record) => record.id === id)) return;
      await removeKernel(kernelsDir, id);
    });
  }

  /** Gives the default's name to the newest of Debian's kernels that has none: stores had no names of kernels once. */
  async #adopt(name: string): Promise<Kernel | undefined> {
    const { kernelsDir, store } = this.#options;
    if (name !== DEFAULT_KERNEL || store.kernels.byName(name) !== undefined) return undefined;
    const found = (await listKernels(kernelsDir)).find((kernel) => kernel.source.startsWith("debian "));
    if (found !== undefined) this.#record(name, found);
    return found;
  }

  /** Undefined when somebody deleted its files. */
  async #read(record: KernelRecord): Promise<Kernel | undefined> {
    return await readKernel(this.#options.kernelsDir, record.id).catch((error: unknown) => {
      if (BangerError.from(error).code === "not_found") return undefined;
      throw error;
    });
  }

  async #describe(name: string, kernel: Kernel): Promise<NamedKernel> {
    return { name, kernel, sizeBytes: await kernelSize(kernel), users: this.#usersOf(name) };
  }

  #damaged({ name, id, createdAt }: KernelRecord, { message, cure }: BangerError): NamedKernel {
    const kernel = { id, release: "", source: "", createdAtMs: createdAt, vmlinuxPath: "", modules: [] };
    const problem = cure === undefined ? message : `${message}; ${cure}`;
    return { name, kernel, sizeBytes: 0, users: this.#usersOf(name), problem };
  }

  #usersOf(name: string): string[] {
    const { vms } = this.#options.store;
    const users = vms.list().filter(({ spec, imageDigest }) => {
      const { kernel = DEFAULT_KERNEL } = spec;
      return name === (kernel === IMAGE_KERNEL ? nameOfImageKernel(imageDigest) : kernel);
    });
    return users.slice(0, 5).map((vm) => vm.name);
  }
}

function unknownKernel(name: string): BangerError {
  return new BangerError("not_found", `there is no kernel named ${name}`, {
    cure: "list the kernels with: banger kernel ls; or import one with: banger kernel import",
  });
}
