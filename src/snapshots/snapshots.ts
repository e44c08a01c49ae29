/** Snapshots that users take: made, listed, removed, and gone on from. They outlive the VMs that they were taken from. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { withTemporaryDirectory } from "../lib/publish.ts";
import { markUnrecorded, tryMarkUnrecorded, unmarkUnrecorded } from "../lib/unrecorded.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import { validateVmName } from "../model/names.ts";
import type { BroughtWorkspace, SavedMachine, SavedMachines, WorkspaceCarrier } from "../model/saved.ts";
import type { SnapshotRecord } from "../model/snapshot.ts";
import type { VmRecord } from "../model/vm.ts";
import { snapshotNameTaken } from "../store/snapshots.ts";
import type { Store } from "../store/store.ts";
import type { DriverReport } from "../vmm/port.ts";
import { type CaptureVmOptions, captureVm } from "./capture-vm.ts";
import { MACHINE, type SavedFacts, SavedFiles, WORKSPACE } from "./saved-files.ts";
import { type KeptRecord, writeRecord } from "./saved-record.ts";
import { sweepSnapshots, unrecordedSnapshots } from "./snapshot-sweep.ts";
import type { HeldGuest, SnapshotVms } from "./snapshot-vms.ts";
import { Uses } from "./uses.ts";

export interface SnapshotsOptions {
  readonly dir: string;
  readonly store: Store;
  readonly vms: () => SnapshotVms;
  readonly workspaces: () => WorkspaceCarrier;
  /** What a driver, by name, offers here now; without a name, the one of new VMs. Errors: `unavailable`. */
  readonly report: (driver: string | undefined) => Promise<Extract<DriverReport, { available: true }>>;
  readonly log: Logger;
  readonly now: () => number;
  readonly onStep: (step: string) => void;
}

export interface SnapshotWish {
  readonly name?: string | undefined;
  readonly diskOnly?: boolean | undefined;
}

export interface Forks {
  readonly vms: readonly VmRecord[];
  /** How long the parent stood still. */
  readonly pauseMs: number;
}

export class Snapshots implements SavedMachines {
  readonly #options: SnapshotsOptions;
  readonly #files: SavedFiles;
  /** Ids of those that something starts from, or that are being made. */
  readonly #uses = new Uses();
  readonly #capturing: Pick<CaptureVmOptions, "report" | "onStep">;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#capturing = { report: options.report, onStep: (step) => this.#step(step) };
    this.#files = new SavedFiles(options.dir);
  }

  list(): SnapshotRecord[] {
    return this.#options.store.snapshots.list();
  }

  /** By name or id. Errors: `not_found`. */
  find(ref: string): SnapshotRecord {
    const { snapshots } = this.#options.store;
    const found = snapshots.byName(ref) ?? snapshots.byId(ref);
    if (found !== undefined) return found;
    throw new BangerError("not_found", `there is no snapshot ${ref}`, {
      cure: "list them with: banger snapshot ls",
    });
  }

  /**
   * Saves a VM as it is now. A running guest goes on at once; a stopped one has a disk only. Errors: `failed_precondition` (state, no
   * disk yet), `already_exists` (name), `unsupported`, `resource_exhausted`; those of `Running.snapshot`. After any of them the VM is
   * as it was, and there is no snapshot.
   */
  async create(ref: string, wish: SnapshotWish, options: LongOptions): Promise<SnapshotRecord> {
    const { store, now } = this.#options;
    const { id: vmId, name: vmName, driver: vmDriver } = this.#options.vms().find(ref);
    const name = wish.name === undefined ? this.#freeName(vmName) : validateVmName(wish.name);
    if (store.snapshots.byName(name) !== undefined) throw snapshotNameTaken(name);
    const report = await this.#options.report(vmDriver);
    const id = randomBytes(6).toString("hex");
    // Its files are there before its row is.
    using _making = this.#uses.take(id);
    let kept: KeptRecord | undefined;
    const saved = await this.#files.publish(id, async (dir) => {
      await this.#hold(vmId, async (held) => {
        options.signal.throwIfAborted();
        const pauseMs = await stage(options, "capture", () =>
          captureVm(held, dir, { ...this.#capturing, diskOnly: wish.diskOnly }),
        );
        await this.#options.workspaces().save(vmId, join(dir, WORKSPACE));
        const kind = existsSync(join(dir, MACHINE)) ? "machine" : "disk";
        kept = { id, name, ...factsOf(held.vm), kind, pauseMs, createdAt: now() };
        await writeRecord(dir, kept);
        // Until its record is there, nobody's.
        markUnrecorded(dir);
      });
      this.#step("publish");
      const { driver, snapshotKey: driverKey = "" } = report;
      const facts = { name, vm: vmId, driver, driverKey, knowsWorkspace: 1 };
      return { diskMib: kept?.spec.diskMib ?? 1, facts };
    });
    if (kept === undefined) throw new Error("a snapshot of nothing was published");
    const record: SnapshotRecord = { ...kept, sizeBytes: saved.sizeBytes };
    try {
      this.#step("record");
      store.snapshots.insert(record);
    } catch (error) {
      await this.#files.remove(id);
      throw error;
    }
    this.#step("recorded");
    unmarkUnrecorded(this.#files.path(id));
    this.#step("done");
    return record;
  }

  /**
   * Errors: `not_found`; `conflict` while something starts from it; `failed_precondition` while a VM made from it has not started yet. VMs
   * that went on from it live on.
   */
  async remove(ref: string): Promise<SnapshotRecord> {
    const record = this.find(ref);
    if (this.#uses.has(record.id)) {
      throw new BangerError("conflict", `the snapshot ${record.name} is being started from`, {
        cure: "repeat the command when that is done",
      });
    }
    const waiting = this.#options.store.vms
      .list()
      .find(({ parent, startedAt }) => parent === record.id && startedAt === undefined);
    if (waiting !== undefined) {
      const { name } = waiting;
      throw new BangerError(
        "failed_precondition",
        `the VM ${name} was made from the snapshot ${record.name} and has not started yet`,
        { cure: `start it first with: banger start ${name}; or remove it with: banger rm ${name}` },
      );
    }
    // From here on a directory without a record is swept by the next daemon.
    this.#options.onStep("snapshot-rm:mark");
    const directory = this.#files.path(record.id);
    tryMarkUnrecorded(directory);
    try {
      this.#options.onStep("snapshot-rm:record");
      this.#options.store.snapshots.remove(record.id);
    } catch (error) {
      unmarkUnrecorded(directory);
      throw error;
    }
    this.#options.onStep("snapshot-rm:files");
    await this.#files.remove(record.id);
    return record;
  }

  /**
   * Takes a VM back to a snapshot of it. Errors: `not_found`, `invalid_argument` (another VM's), `failed_precondition` (state; a snapshot
   * that is damaged or of another hypervisor), all before the VM is touched; those of a start.
   */
  async restore(ref: string, snapshotRef: string, options: LongOptions): Promise<VmRecord> {
    const snapshot = this.find(snapshotRef);
    const vm = this.#options.vms().find(ref);
    if (vm.id !== snapshot.vm) {
      throw new BangerError(
        "invalid_argument",
        `the snapshot ${snapshot.name} is one of ${snapshot.vmName}, not of ${vm.name}`,
        { cure: `make a new VM of it with: banger run --snapshot ${snapshot.name}` },
      );
    }
    using saved = await stage(options, "verify", () => this.open(snapshot.id));
    return await this.#options.workspaces().hold(vm.id, async () => {
      // Of an older one it is not known whether there was a workspace.
      const isKnown = this.#files.read(snapshot.id).facts["knowsWorkspace"] === 1;
      await using brought = isKnown ? await this.bringWorkspace(snapshot.id, vm.id) : undefined;
      const replaced = (): void => brought?.take();
      return await this.#options.vms().rewind(vm.id, { ...options, saved, snapshot, replaced });
    });
  }

  /** Errors: those of `forkVm`. */
  async fork(
    ref: string,
    wish: { readonly count: number; readonly prefix: string | undefined },
    options: LongOptions,
  ): Promise<Forks> {
    const parent = this.#options.vms().find(ref);
    let pauseMs = 0;
    // What the children need until they run; afterwards they hold their memory file open, which needs no name.
    const workspaces = this.#options.workspaces();
    const vms = await withTemporaryDirectory(this.#options.dir, async (dir) => {
      return await workspaces.hold(parent.id, async () => {
        const file = join(dir, WORKSPACE);
        await workspaces.save(parent.id, file);
        return await this.#options.vms().fork(parent.id, {
          ...options,
          count: wish.count,
          prefix: wish.prefix ?? parent.name,
          reserved: async (child) => {
            await using brought = await workspaces.bring(child.id, file);
            brought.take();
          },
          saved: this.#files.unpublished(dir, parent.spec.diskMib),
          save: async (held, captured) => {
            pauseMs = await stage(options, "capture", () =>
              captureVm(held, dir, { ...this.#capturing, captured }),
            );
          },
        });
      });
    });
    return { vms, pauseMs };
  }

  async bringWorkspace(id: string, vm: string): Promise<BroughtWorkspace> {
    const file = join(this.#files.path(id), WORKSPACE);
    using _whole = existsSync(file) ? await this.open(id) : undefined;
    return await this.#options.workspaces().bring(vm, file);
  }

  async open(id: string): Promise<SavedMachine & Disposable> {
    using starting = new DisposableStack();
    starting.use(this.#uses.take(id));
    const saved = this.#files.read(id);
    if (saved.machineDir !== undefined) await this.#demandSameHost(saved.facts);
    await this.#files.verify(id);
    const use = starting.move();
    return { ...saved, [Symbol.dispose]: () => use.dispose() };
  }

  /** See `sweepSnapshots`. */
  async sweep(): Promise<void> {
    await sweepSnapshots({ ...this.#options, files: this.#files, uses: this.#uses });
  }

  /** Directories of those that have no record and could not be given one. */
  unrecorded(): string[] {
    return unrecordedSnapshots({ ...this.#options, uses: this.#uses }).map((id) => this.#files.path(id));
  }

  async #hold(vm: string, work: (held: HeldGuest) => Promise<void>): Promise<void> {
    await this.#options.workspaces().hold(vm, async () => await this.#options.vms().hold(vm, work));
  }

  async #demandSameHost(facts: SavedFacts): Promise<void> {
    const { driver, version, snapshotKey } = await this.#options.report(String(facts["driver"]));
    if (facts["driverKey"] === snapshotKey) return;
    throw new BangerError(
      "failed_precondition",
      `the snapshot was made by another hypervisor, version or CPU than the one here (${driver} ${version})`,
      { cure: "go on from it where it was made" },
    );
  }

  #freeName(vmName: string): string {
    for (let number = 1; ; number += 1) {
      const name = `${vmName.slice(0, 55)}-${number}`;
      if (this.#options.store.snapshots.byName(name) === undefined) return name;
    }
  }

  #step(step: string): void {
    this.#options.onStep(`snapshot:${step}`);
  }
}

/** What a snapshot says of the VM that it was taken from. */
function factsOf(vm: VmRecord): Pick<KeptRecord, "vm" | "vmName" | "spec" | "imageDigest" | "parent"> {
  const spec = vm.startedSpec === undefined ? vm.spec : { ...vm.startedSpec, diskMib: vm.spec.diskMib };
  return { vm: vm.id, vmName: vm.name, spec, imageDigest: vm.imageDigest, parent: vm.parent };
}

/** A named part of a long operation, shown while it runs. */
async function stage<T>({ onProgress }: LongOptions, name: string, work: () => Promise<T>): Promise<T> {
  onProgress({ event: "begin", stage: name });
  const from = performance.now();
  const result = await work();
  onProgress({ event: "end", stage: name, ms: performance.now() - from });
  return result;
}
