/**
 * The hypervisor port: what banger needs of a program that runs a virtual machine. A driver turns a
 * hypervisor-neutral `Machine` into a live process. Nothing here names a hypervisor; what a driver cannot do is said
 * in its `Features`, which callers read.
 */
import type { Duplex } from "node:stream";

/** A disk of the guest, raw format. The guest finds it by `id`, which becomes its virtio serial. */
export interface Disk {
  /** 1–20 characters of `a-z 0-9 -` (the virtio-blk serial holds 20 bytes). */
  readonly id: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** A network card of the guest on an existing tap. */
export interface Nic {
  readonly id: string;
  readonly mac: string;
  readonly tap: string;
}

/** The machine to run, as data. Paths are absolute and belong to the caller, who keeps them until the process ends. */
export interface Machine {
  /** The VM's id; stands on the process's command line so that a lost process can be found again. */
  readonly id: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  /** An uncompressed kernel (ELF with a PVH note). */
  readonly kernelPath: string;
  readonly initramfsPath: string;
  /** Kernel arguments of banger's own; the driver adds what its machine type needs (console, channel, clocks). */
  readonly cmdline: readonly string[];
  readonly disks: readonly Disk[];
  readonly nics: readonly Nic[];
  /** The serial console is appended to this file, which the driver creates with mode 0600. */
  readonly consolePath: string;
}

/** How the guest is executed: `kvm` needs a working /dev/kvm, `tcg` is QEMU's software emulation. */
export type Accelerator = "kvm" | "tcg" | "fake";

/** What a driver can do on this host beyond starting and killing a machine. */
export interface Features {
  readonly pause: boolean;
  readonly snapshot: boolean;
  readonly nics: boolean;
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

/** A process identity that cannot be mistaken for a later process with the same pid. */
export interface ProcessHandle {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: ticks since boot (proc(5)). */
  readonly startTicks: number;
  /** /proc/sys/kernel/random/boot_id of the host at the time. */
  readonly bootId: string;
}

/** What must be remembered to find a running machine again; plain JSON. */
export interface DriverHandles {
  readonly driver: string;
  readonly process: ProcessHandle;
  /** Driver-specific names of sockets, absolute. */
  readonly sockets: Readonly<Record<string, string>>;
}

/** How the hypervisor process ended. `code` and `signal` are unknown (undefined) for an adopted process. */
export interface ProcessExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  /** The last lines of the hypervisor's own stderr, at most 4 KiB. */
  readonly stderrTail: string;
}

export interface MachineStats {
  /** CPU time of the hypervisor process, user plus system. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** A machine whose process exists. Owns nothing on disk: the caller removes the directories after `exited`. */
export interface Running {
  readonly handles: DriverHandles;
  /**
   * Connects to the guest's agent channel: one byte stream. May be called again after the earlier stream has closed;
   * only one is open at a time. Errors: `unavailable` when the process is gone.
   */
  channel(): Promise<Duplex>;
  /** Stops the vCPUs. Safe to repeat. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Writes machine state and memory into `dir`; the machine must be paused. Errors: `unsupported`. */
  snapshot(dir: string): Promise<void>;
  stats(): Promise<MachineStats>;
  /**
   * Ends the process: TERM, a grace of `graceMs` (default 2000; 0 goes straight to KILL), KILL, and waits until it is
   * gone. Safe to repeat and after the process has ended by itself.
   */
  kill(options?: { readonly graceMs?: number }): Promise<void>;
  /** Settles once, never rejects. */
  readonly exited: Promise<ProcessExit>;
}

export interface StartOptions {
  readonly signal?: AbortSignal;
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
   * Errors: `unavailable` (program missing or it ended at once, with its words), `invalid_argument`, `cancelled`.
   */
  start(machine: Machine, dir: RunDir, options?: StartOptions): Promise<Running>;
  /** Starts a process from a snapshot made by `Running.snapshot`. Errors: `unsupported`. */
  resume(machine: Machine, snapshotDir: string, dir: RunDir, options?: StartOptions): Promise<Running>;
  /**
   * Takes over a process started earlier, by this or an earlier daemon. Undefined when it no longer runs; a pid that
   * was reused by something else counts as gone.
   */
  adopt(handles: DriverHandles, dir: RunDir): Promise<Running | undefined>;
}
