/**
 * Volumes: disks with a name that outlive VMs. A file has its own name only while there is a record: before that and after it, it is called
 * `ID.ext4.unrecorded`. So a file that has its own name and no record is one whose record was lost.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import type { Logger } from "pino";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import { type VolumeMount, type VolumeRecord, validateVolumeName } from "../model/volume.ts";
import type { Store } from "../store/store.ts";
import { createDisk, growDisk, MAX_DISK_BYTES, MIN_DISK_BYTES } from "./disks.ts";
import { VolumeFiles } from "./volume-files.ts";
import { sweepVolumes } from "./volume-sweep.ts";

export interface VolumeOptions {
  readonly store: Pick<Store, "volumes" | "vms">;
  /** The file of a volume. */
  readonly path: (id: string) => string;
  readonly directory: string;
  readonly now: () => number;
  readonly log: Logger;
  /** Hears of every step before it is done. */
  readonly onStep?: (step: string) => void;
}

/** A volume as it is shown. */
export interface VolumeView extends VolumeRecord {
  readonly storedBytes: number;
  readonly vms: readonly string[];
}

export class Volumes {
  readonly #options: VolumeOptions;
  readonly #files: VolumeFiles;
  readonly #locks = new KeyedLock();
  /** Who has a volume in this daemon's time: volume id, then VM id, then whether it only reads. */
  readonly #claims = new Map<string, Map<string, boolean>>();

  constructor(options: VolumeOptions) {
    this.#options = options;
    this.#files = new VolumeFiles(options);
  }

  async list(): Promise<VolumeView[]> {
    return await Promise.all(
      this.#options.store.volumes.list().map(async (volume) => await this.#view(volume)),
    );
  }

  /** Errors: `not_found`. */
  async show(name: string): Promise<VolumeView> {
    return await this.#view(this.#options.store.volumes.get(name));
  }

  /** Errors: `invalid_argument` (name, size), `already_exists`, `resource_exhausted`. */
  async create(name: string, sizeBytes: number): Promise<VolumeView> {
    validateVolumeName(name);
    const size = Math.ceil(sizeBytes / 4096) * 4096;
    if (size < MIN_DISK_BYTES || size > MAX_DISK_BYTES) {
      throw new BangerError("invalid_argument", "a volume has between 16 MiB and 16 TiB", {
        details: { field: "size" },
      });
    }
    const { store, now } = this.#options;
    const volume = { id: randomBytes(6).toString("hex"), name, sizeBytes: size, createdAt: now() };
    store.volumes.demandFreeName(name);
    await createDisk(this.#files.unrecorded(volume.id), size);
    try {
      this.#step("volume:record");
      store.volumes.insert(volume);
    } catch (error) {
      await rm(this.#files.unrecorded(volume.id), { force: true });
      throw error;
    }
    this.#step("volume:recorded");
    this.#files.recorded(volume.id);
    this.#step("volume:done");
    return await this.#view(volume);
  }

  /** Makes it larger. Errors: `not_found`, `invalid_argument` (smaller), `failed_precondition` (a running VM has it, or its file is gone). */
  async grow(name: string, sizeBytes: number): Promise<VolumeView> {
    const { store, path } = this.#options;
    const volume = store.volumes.get(name);
    return await this.#locks.hold(volume.id, async () => {
      const size = Math.ceil(sizeBytes / 4096) * 4096;
      if (size < store.volumes.get(name).sizeBytes) {
        throw new BangerError("invalid_argument", `the volume ${name} cannot shrink`, {
          details: { field: "size" },
        });
      }
      const [holder] = this.#holders(volume).keys();
      if (holder !== undefined) throw held(name, this.#vmName(holder));
      await this.demandFile(volume);
      await growDisk(path(volume.id), size);
      store.volumes.resize(volume.id, size);
      return await this.#view({ ...volume, sizeBytes: size });
    });
  }

  /** Deletes it and what is on it. Errors: `not_found`, `failed_precondition` when a VM names it, running or not. */
  async remove(name: string): Promise<VolumeView> {
    const { store } = this.#options;
    const volume = store.volumes.get(name);
    const view = await this.#view(volume);
    try {
      store.volumes.remove(volume.id, () => {
        this.#demandUnused(name);
        this.#step("volume-rm:file");
        this.#files.givenUp(volume.id);
        this.#step("volume-rm:record");
      });
    } catch (error) {
      if (store.volumes.byName(name)?.id === volume.id) this.#files.recorded(volume.id);
      throw error;
    }
    this.#step("volume-rm:recorded");
    await rm(this.#files.unrecorded(volume.id), { force: true });
    this.#step("volume-rm:done");
    return view;
  }

  /**
   * Takes a volume for a VM that starts: one that writes has it alone, readers share it. Nothing waits in between, so of two that start
   * at once one gets it. Errors: `not_found`, `failed_precondition` with the holder's name.
   */
  claim(vm: VmRecord, mount: VolumeMount): VolumeRecord {
    const volume = this.#options.store.volumes.get(mount.volume);
    for (const [holder, readOnly] of this.#holders(volume)) {
      if (holder !== vm.id && !(readOnly && mount.readOnly)) throw held(mount.volume, this.#vmName(holder));
    }
    const claims = this.#claims.get(volume.id) ?? new Map<string, boolean>();
    this.#claims.set(volume.id, claims.set(vm.id, mount.readOnly));
    return volume;
  }

  /** Lets go of everything that a VM has. Safe to repeat. */
  release(vmId: string): void {
    for (const claims of this.#claims.values()) claims.delete(vmId);
  }

  /**
   * Sees that the file of a volume is there, and as large as the record says. Errors: `failed_precondition` when it is gone: an empty one in
   * its place would look like the volume.
   */
  async demandFile(volume: VolumeRecord): Promise<void> {
    const path = this.#options.path(volume.id);
    if (existsSync(path)) return await growDisk(path, volume.sizeBytes);
    throw new BangerError("failed_precondition", `the file of the volume ${volume.name} is gone: ${path}`, {
      cure: `bring that file back from a backup, or give the volume up with: banger volume rm ${volume.name}`,
      details: { volume: volume.name },
    });
  }

  path(volume: VolumeRecord): string {
    return this.#options.path(volume.id);
  }

  /** See `sweepVolumes`. */
  async sweep(): Promise<void> {
    await sweepVolumes(this.#options, this.#files);
  }

  /** Files that have no record and could not be given one: their paths. */
  unrecorded(): string[] {
    const known = new Set(this.#options.store.volumes.list().map(({ id }) => id));
    return this.#files
      .ids()
      .filter((id) => !known.has(id))
      .map((id) => this.#options.path(id));
  }

  /** VM ids with a volume in use, and whether they only read. After a restart of the daemon the records tell. */
  #holders(volume: VolumeRecord): Map<string, boolean> {
    const holders = new Map(this.#claims.get(volume.id));
    for (const vm of this.#users(volume.name)) {
      // One that starts has claimed what it could.
      if (vm.state === "stopped" || vm.state === "starting") continue;
      const mount = (vm.startedSpec ?? vm.spec).volumes?.find((one) => one.volume === volume.name);
      if (mount !== undefined) holders.set(vm.id, mount.readOnly);
    }
    return holders;
  }

  #users(name: string): VmRecord[] {
    const names = (vm: VmRecord): boolean =>
      [vm.spec, vm.startedSpec].some(
        (spec) => spec?.volumes?.some((mount) => mount.volume === name) === true,
      );
    return this.#options.store.vms.list().filter(names);
  }

  /** Errors: `failed_precondition` when a VM names it. */
  #demandUnused(name: string): void {
    const [user] = this.#users(name);
    if (user === undefined) return;
    throw new BangerError("failed_precondition", `the volume ${name} belongs to the VM ${user.name}`, {
      cure: `remove that first, with: banger rm ${user.name}`,
      details: { vm: user.name },
    });
  }

  #step(step: string): void {
    this.#options.onStep?.(step);
  }

  #vmName(id: string): string {
    return this.#options.store.vms.byId(id)?.name ?? id;
  }

  async #view(volume: VolumeRecord): Promise<VolumeView> {
    const file = existsSync(this.path(volume)) ? await stat(this.path(volume)) : undefined;
    const vms = this.#users(volume.name).map((vm) => vm.name);
    return { ...volume, storedBytes: (file?.blocks ?? 0) * 512, vms };
  }
}

function held(volume: string, vm: string): BangerError {
  return new BangerError("failed_precondition", `the volume ${volume} is in use by the VM ${vm}`, {
    cure: `stop that first, with: banger stop ${vm}; only readers (:ro) share a volume`,
    details: { volume, vm },
  });
}
