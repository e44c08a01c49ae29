/** The hypervisor-neutral description of a machine: what capabilities build up and drivers turn into a process. */

/** The most that a device may do; what is absent is not limited. A burst of at most one second's worth comes on top. */
export interface Rate {
  /** Of a disk: read and written together. Of a card: each way. `RATE_LIMITS.bytesPerSecond`. */
  readonly bytesPerSecond?: number;
  /** Reads and writes of a disk together; not of cards. `RATE_LIMITS.opsPerSecond`. */
  readonly opsPerSecond?: number;
}

/** A disk of the guest, raw format. The guest finds it by `id`, which becomes its virtio serial. */
export interface Disk {
  /** 1–20 characters of `a-z 0-9 -` (the virtio-blk serial holds 20 bytes). */
  readonly id: string;
  readonly path: string;
  readonly readOnly: boolean;
  readonly rate?: Rate;
}

/** A disk that the agent mounts. */
export interface GuestMount {
  /** The id of the disk. */
  readonly disk: string;
  readonly type: "ext4" | "squashfs";
  /** Absolute path in the guest. */
  readonly target: string;
  readonly readOnly: boolean;
}

/** A network card of the guest on an existing tap. */
export interface Nic {
  readonly id: string;
  readonly mac: string;
  readonly tap: string;
  /** Drivers whose features lack `nicRate` leave it out. */
  readonly rate?: Pick<Rate, "bytesPerSecond">;
  /** The network namespace of the tap, as a path; undefined: the host's own. */
  readonly netns?: string | undefined;
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
