/**
 * The hypervisor port: what banger needs of a program that runs a virtual machine. A driver turns a
 * hypervisor-neutral `Machine` into a live process. Nothing here names a hypervisor; what a driver cannot do is said
 * in its `Features`, which callers read.
 */
import type { Duplex } from "node:stream";
import type { ProcessHandle } from "../lib/process-identity.ts";
import type { Machine } from "../model/machine.ts";

export type { ProcessHandle };

/** How the guest is executed: `kvm` needs a working /dev/kvm, `tcg` is QEMU's software emulation. */
export type Accelerator = "kvm" | "tcg" | "fake";

/** What a driver can do on this host beyond starting and killing a machine. */
export interface Features {
  readonly pause: boolean;
  readonly snapshot: boolean;
  readonly nics: boolean;
  /** Takes cards whose taps are in another user's namespace than root's: opened for it by somebody else. */
  readonly openedNics: boolean;
  /** Holds cards to their `rate`. */
  readonly nicRate: boolean;
  /** Its guests have a kernel of their own, which can be given a TUN device. */
  readonly tun: boolean;
}

/** The answer of `probe()`. An unavailable driver says why, and how to cure it. */
export type DriverReport =
  | {
      readonly available: true;
      readonly driver: string;
      readonly version: string;
      readonly accelerator: Accelerator;
      readonly machineType: string;
      readonly features: Features;
      /**
       * Changes with everything of this host and this driver that a snapshot depends on, beside its `Machine`: the hypervisor and
       * its version, accelerator, CPU, machine type, the way devices are laid out. Absent where there are no snapshots.
       */
      readonly snapshotKey?: string;
      /** Things that work less well than they could, one sentence each (such as why KVM is not used). */
      readonly notes: readonly string[];
    }
  | { readonly available: false; readonly driver: string; readonly reason: string; readonly cure: string };

/** Where one running machine keeps its live things; both directories exist, mode 0700, and are the caller's. */
export interface RunDir {
  /** Under the state directory: logs. Survives a reboot. */
  readonly stateDir: string;
  /** Under the runtime directory: sockets. Short enough that `<runtimeDir>/<12 characters>` fits in 107 bytes. */
  readonly runtimeDir: string;
}

/** What must be remembered to find a running machine again; plain JSON. */
export interface DriverHandles {
  readonly driver: string;
  /** `Machine.id`; `adopt` looks for its marker on the process's command line. */
  readonly machineId: string;
  readonly process: ProcessHandle;
  /** Driver-specific names of sockets, absolute. */
  readonly sockets: Readonly<Record<string, string>>;
}

/** The argument that marks a hypervisor process as the one of this VM. */
export function processMarker(id: string): string {
  return `banger-${id}`;
}

/** How the hypervisor process ended. `code` and `signal` are unknown (undefined) for an adopted process. */
export interface ProcessExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  /** The last lines of the hypervisor's own stderr, at most 4 KiB. */
  readonly stderrTail: string;
}

/**
 * How the guest ends its own hypervisor process: `acpi` powers the machine off, `reset` resets it (for machines
 * without a power switch). The host tells the agent at `configure`.
 */
export type PoweroffMethod = "acpi" | "reset";

export interface MachineStats {
  /** CPU time of the hypervisor process, user plus system. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** A machine whose process exists. Owns nothing on disk: the caller removes the directories after `exited`. */
export interface Running {
  readonly handles: DriverHandles;
  readonly poweroff: PoweroffMethod;
  /**
   * Connects to the guest's agent channel: one byte stream, which is the caller's (who listens for its `error`: a
   * hypervisor that dies may reset it) and closes when the process ends. May be called again after the earlier stream has closed;
   * only one is open at a time. Errors: `unavailable` when the process is gone, `failed_precondition` when the earlier
   * stream is still open.
   */
  channel(): Promise<Duplex>;
  /** Stops the vCPUs. Safe to repeat. Errors of both: `unavailable` (the process is gone), `timeout`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Writes the machine's memory and device state into `dir`, an empty directory of the caller's (mode 0700): `machine.json`, `state`
   * and `memory`, nothing flushed. Disks are the caller's to copy. The machine must be paused, and stays so; an open channel
   * stays open, or ends once the machine goes on and can then be opened anew (Firecracker resets the guest's vsock). Written files are removed on failure, and the machine can go on. Repeatable, each time into another directory.
   * Errors: `failed_precondition` (not paused), `unsupported`, `unavailable` (the process is gone), `permission_denied` (the host
   * keeps the process's memory from us), `resource_exhausted` (no space), `timeout`.
   */
  snapshot(dir: string, options?: SnapshotOptions): Promise<void>;
  /** Tells the guest that the file of a disk (by its id) has become `sizeBytes` large. Errors: `unavailable`, `timeout`. */
  diskGrown(id: string, sizeBytes: number): Promise<void>;
  /** Errors: `unavailable` when the process is gone. */
  stats(): Promise<MachineStats>;
  /**
   * Ends the process: TERM, a grace of `graceMs` (default 2000; 0 goes straight to KILL), KILL, and waits until it is
   * gone. Safe to repeat and after the process has ended by itself.
   */
  kill(options?: { readonly graceMs?: number }): Promise<void>;
  /** Settles once, never rejects. */
  readonly exited: Promise<ProcessExit>;
}

export interface SnapshotOptions {
  /**
   * Called once, before `snapshot` resolves: what is still to be written needs the machine no more, so it may go on. By then all files are
   * there, and only `memory` may still be without some of its contents.
   */
  readonly captured?: () => void;
}

export interface StartOptions {
  readonly signal?: AbortSignal;
  /**
   * Called once, with the process that it will stay: as soon as it exists, before it has taken memory for its guest and before the
   * guest's first instruction, or its first after a snapshot. What it throws fails the start.
   */
  readonly spawned?: (process: ProcessHandle) => Promise<void> | void;
}

export interface ResumeOptions extends StartOptions {
  /**
   * Resolves when all of `memory` is written; default: it is. The machine goes on after that, and everything else may be done before. When
   * it rejects, which the caller handles, too, so does the call.
   */
  readonly whole?: Promise<void> | undefined;
  /**
   * Called at most once, with the machine that the call will return, when its channel can be opened and its guest is about to go on: what
   * is written then is there when the guest first looks. A driver may leave it out. What it throws fails the call.
   */
  readonly reachable?: (running: Running) => void;
}

/**
 * One hypervisor program. Drivers hold no state of their own between calls.
 */
export interface Driver {
  readonly name: string;
  /** Says whether and how the driver can run here. Cached by whoever needs it often; never throws. */
  probe(): Promise<DriverReport>;
  /**
   * Starts the process in its own session, its output in files, and resolves as soon as the process exists and its
   * sockets accept connections; it does not wait for the guest. On failure nothing is left running.
   * Errors: `unavailable` (program missing, it ended at once or refused the machine, with its words), `timeout`,
   * `invalid_argument`, `cancelled`.
   */
  start(machine: Machine, dir: RunDir, options?: StartOptions): Promise<Running>;
  /**
   * Starts a process that goes on where a machine was when `Running.snapshot` wrote `snapshotDir`, and resolves as `start` does: it
   * runs, and on failure nothing is left. `machine` has the same shape (vCPUs, memory, ids and order of disks and cards); the paths,
   * taps and the id are its own, its disks hold what the snapshot's held. Kernel, initramfs and command line are not looked at: they
   * are in memory already. Any number of machines can be started from one snapshot, side by side. They read its `memory` as long as
   * they run: it must not change, but may lose its name. The guest's agent does not know yet that it is another machine, and its
   * channel may begin in the middle of a message. Errors: those of `start`; `failed_precondition` when the snapshot is not whole,
   * not of this driver, version, host or shape; `unsupported`.
   */
  resume(machine: Machine, snapshotDir: string, dir: RunDir, options?: ResumeOptions): Promise<Running>;
  /**
   * Takes over a process started earlier, by this or an earlier daemon. Undefined when it no longer runs; a pid that
   * was reused by something else counts as gone.
   */
  adopt(handles: DriverHandles, dir: RunDir): Promise<Running | undefined>;
}
