/** What a work tree's setup made of a machine, kept so that it need not run again; and the work tree that comes with it. */
import type { LongOptions } from "./boot.ts";
import type { SetupStep } from "./bootstrap.ts";
import type { BangerError } from "./errors.ts";
import type { SavedMachine, TemplateWish } from "./saved.ts";
import type { VmSpec } from "./spec.ts";
import type { VmRecord } from "./vm.ts";

/** Everything that decides what a setup makes. */
export interface BootstrapWish {
  readonly machine: TemplateWish;
  readonly spec: VmSpec;
  readonly steps: readonly SetupStep[];
  /** `ArrivingTree.key`. */
  readonly tree: string;
  /** The work tree on the host, for people. */
  readonly hostPath: string;
}

/** None of these calls ever fails. */
export interface KeptBootstraps {
  /** A machine in which equal setup has run; undefined when there is none to be trusted. */
  find(wish: BootstrapWish): Promise<SavedMachine | undefined>;
  /** It cannot be used: it is never used again. */
  distrust(saved: SavedMachine, why: BangerError): Promise<void>;
  /** Saves a running VM in which the setup has just run. The guest goes on. */
  keep(wish: BootstrapWish, vm: VmRecord, options: LongOptions): Promise<void>;
}

/** The work tree of a run, on its way. */
export interface ArrivingTree {
  /** A hash of what of it decides what its setup makes; undefined: nothing can be kept of it. */
  readonly key: string | undefined;
  readonly hostPath: string;
  /** Copies all of it into the running VM. */
  arrive(vm: VmRecord): Promise<unknown>;
  /**
   * Makes a VM that does not run yet know what was kept in the file. Errors: `failed_precondition` for what is damaged, or of another
   * repository; nothing is known then.
   */
  adopt(vm: string, file: string): Promise<AdoptedTree>;
  /** Undoes `adopt`. */
  forget(vm: string): Promise<void>;
}

export interface AdoptedTree {
  /** The VM runs, and has the files of then: sends what has changed on the host since, which goes before what is there. */
  catchUp(vm: VmRecord): Promise<unknown>;
}
