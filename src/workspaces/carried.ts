/** Workspaces that go along when their VM is saved, and come with what is made of that. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { KeyedLock } from "../lib/keyed-lock.ts";
import { storageError, temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import type { BroughtWorkspace, WorkspaceCarrier } from "../model/saved.ts";
import type { Store } from "../store/store.ts";
import { packBundle, unpackBundle } from "./bundle.ts";
import type { WorkspacePlaces } from "./places.ts";

export interface CarriedDeps {
  readonly store: Store;
  readonly locks: KeyedLock;
  readonly places: (vm: string) => WorkspacePlaces;
}

export class CarriedWorkspaces implements WorkspaceCarrier {
  readonly #deps: CarriedDeps;

  constructor(deps: CarriedDeps) {
    this.#deps = deps;
  }

  async hold<T>(vm: string, work: () => Promise<T>): Promise<T> {
    return await this.#deps.locks.hold(vm, work);
  }

  async save(vm: string, file: string): Promise<void> {
    const record = this.#deps.store.workspaces.byVm(vm);
    if (record !== undefined) await packBundle(record, this.#deps.places(vm).directory, file);
  }

  async bring(vm: string, file: string): Promise<BroughtWorkspace> {
    const { workspaces } = this.#deps.store;
    const { directory } = this.#deps.places(vm);
    const clear = (): void => {
      // A write is brought to disk, and most VMs have none.
      if (workspaces.byVm(vm) !== undefined || workspaces.unfinished(vm) !== undefined) workspaces.remove(vm);
      rmSync(directory, { recursive: true, force: true });
    };
    if (!existsSync(file)) return { take: clear, [Symbol.asyncDispose]: async () => undefined };
    const aside = join(dirname(directory), temporaryName());
    const record = await unpackBundle(file, aside).catch(async (error: unknown) => {
      await removeTree(aside);
      throw storageError(error, directory);
    });
    return {
      take: () => {
        clear();
        renameSync(aside, directory);
        workspaces.put({ ...record, vm });
      },
      [Symbol.asyncDispose]: async () => await removeTree(aside),
    };
  }
}
