/** Workspaces that go along when their VM is saved, and come with what is made of that. */

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { KeyedLock } from "../lib/keyed-lock.ts";
import type { WorkspaceCarrier } from "../model/saved.ts";
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

  async bring(vm: string, file: string): Promise<() => void> {
    if (!existsSync(file)) return () => undefined;
    const { directory } = this.#deps.places(vm);
    await rm(directory, { recursive: true, force: true });
    const record = await unpackBundle(file, directory);
    return () => this.#deps.store.workspaces.put({ ...record, vm });
  }
}
