/**
 * A capability is one concern of a VM's life. The life of a VM is a fold over an ordered list of them: forwards at a
 * start, with each undo pushed; all of them at a clean-up, whatever one of them throws.
 */
import type { LongOptions, ReadyImage } from "./boot.ts";
import type { Disk, GuestMount, Nic } from "./machine.ts";
import type { SavedMachine } from "./saved.ts";
import type { VmSpec } from "./spec.ts";
import type { VmRecord } from "./vm.ts";

/** What capabilities add to the machine. */
export interface MachineDraft {
  readonly disks: Disk[];
  readonly nics: Nic[];
  readonly cmdline: string[];
  /** Disks that the agent mounts in the guest beside its root. */
  readonly mounts: GuestMount[];
  /** What the guest is told of its network; absent: it has no card. */
  network?: GuestNetwork | undefined;
  /** Where a guest without a card asks for names. */
  resolver?: Pick<GuestNetwork, "nameservers" | "search"> | undefined;
}

/** A guest's place in the network. */
export interface GuestNetwork {
  readonly mac: string;
  /** IPv4, as the next. */
  readonly address: string;
  readonly gateway: string;
  /** The same over IPv6; undefined: the guest has none. */
  readonly ipv6?: { readonly address: string; readonly gateway: string } | undefined;
  readonly nameservers: readonly string[];
  /** Domains that are tried behind a short name. */
  readonly search: readonly string[];
}

export interface CapabilityContext {
  readonly vm: VmRecord;
  readonly image: ReadyImage;
  /** What the VM goes on from; undefined when it boots from what it has. */
  readonly saved?: SavedMachine | undefined;
  /** The VM outlives this run: what it is made of must outlive the host's next crash. */
  readonly keeps: boolean;
}

/** A VM before and after `set`. */
export interface VmChange {
  readonly before: VmRecord;
  readonly after: VmRecord;
}

/** The part of a running machine that capabilities change. */
export interface RunningMachine {
  /** Tells the guest that the file of a disk has become `sizeBytes` large. */
  diskGrown(id: string, sizeBytes: number): Promise<void>;
}

/** The part of a configured guest that capabilities use. */
export interface StartedGuest {
  /**
   * Writes a file, all or nothing; `path` is absolute in the guest, the owner root. Errors: those of the guest, which name the
   * path; `timeout`; `cancelled`.
   */
  writeFile(path: string, file: GuestFile): Promise<unknown>;
}

export interface GuestFile {
  /** Permissions. */
  readonly mode: number;
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
}

export interface Capability {
  readonly name: string;
  /**
   * What it is about to add to the machine of this VM beyond what every VM has, by names that say all that a saved machine depends on: one
   * that booted with other devices does not fit.
   */
  devices?(vm: Pick<VmRecord, "spec">): Promise<readonly string[]>;
  /**
   * Before a VM is made or changed: completes what is asked for, or refuses it with the cure. `before`: what it is now. Touches
   * nothing that stays.
   */
  settle?(spec: VmSpec, before: VmSpec | undefined): Promise<VmSpec>;
  /** Before anything is touched: may refuse, with the cure. */
  preflight?(context: CapabilityContext): Promise<void> | void;
  /** Makes host resources; pushes the undo of each on `undo`. */
  prepare?(context: CapabilityContext, undo: AsyncDisposableStack): Promise<void>;
  /** A machine that was prepared before anybody asked for it becomes this VM: makes what is this VM's alone. `cleanup` is the undo. */
  taken?(context: CapabilityContext): Promise<void>;
  /** Adds devices to the description, as data. */
  contribute?(context: CapabilityContext, draft: MachineDraft): void;
  /** The hypervisor's process exists, and its guest does not run yet: may put it where it belongs. What it throws fails the start. */
  spawned?(vm: VmRecord, process: { readonly pid: number }): Promise<void> | void;
  /** The guest goes on from a saved machine with a smaller disk and knows who it is: brings what the VM has and the saved machine had not. */
  resumed?(context: CapabilityContext, running: RunningMachine): Promise<void>;
  /** The guest is configured, and nobody uses it yet: may prepare it. What it throws fails the start. */
  started?(vm: VmRecord, guest: StartedGuest, options: LongOptions): Promise<void>;
  /** The VM runs and was left by an earlier daemon: takes up what asks nothing of the guest or its hypervisor, which may not answer. Never throws. */
  adopted?(vm: VmRecord): Promise<void>;
  /** The VM runs and can be used: after a start, and when a daemon takes it over from an earlier one. Never throws. */
  reachable?(vm: VmRecord): Promise<void>;
  /** After `set` changed the record: applies what it can, also to the running machine when there is one. */
  changed?(change: VmChange, running: RunningMachine | undefined): Promise<void>;
  /** The VM is no more: forgets what outlives its runs. Not called for what a crash left half removed. */
  removed?(vm: { readonly id: string }): void;
  /** Releases everything that belongs to the run of a VM; succeeds with nothing there, and may be repeated. */
  cleanup?(vm: { readonly id: string }): Promise<void>;
}
