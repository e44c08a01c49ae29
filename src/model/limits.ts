/** How much of the host one hypervisor process may take: a fence against what goes wrong, not a price list. */

export type LimitName = "memory" | "cpu" | "pids" | "io";

export const LIMIT_NAMES: readonly LimitName[] = ["memory", "cpu", "pids", "io"];

export interface Limits {
  /** Memory of the process and the page cache of what it reads and writes; the kernel drops that cache first. */
  readonly memoryBytes: number;
  /** Processor time, in processors. */
  readonly cpuCores: number;
  /** Processes and threads together. */
  readonly pids: number;
  /** Share of a busy disk; 100 is what every other group has. */
  readonly ioWeight: number;
}

/**
 * What a rate of a disk or a card may be. Below the smallest a guest does not come up in the time it has; the largest is above what
 * any device does, and far below what QEMU and Firecracker count to.
 */
export const RATE_LIMITS: Readonly<
  Record<"bytesPerSecond" | "opsPerSecond", { readonly min: number; readonly max: number }>
> = {
  bytesPerSecond: { min: 1024 ** 2, max: 1024 ** 4 },
  opsPerSecond: { min: 50, max: 10_000_000 },
};

/** The hypervisor's own heap, stacks and buffers: 26 to 38 MiB measured with QEMU 7.2. The rest is page cache for its disks. */
const OVERHEAD_MIB = 256;
/** Grows with the guest: page tables of host and guest (1/512 each), dirty bitmaps, the emulator's page descriptors. */
const OVERHEAD_SHARE = 1 / 16;
/** QEMU's buffer of translated code: 1 GiB at most (DEFAULT_CODE_GEN_BUFFER_SIZE_1 in QEMU's tcg/region.c). */
const TRANSLATION_MIB = 1024;
/** QEMU has a thread a vCPU, and up to 64 for each of its pools of disk threads (THREAD_POOL_MAX_THREADS_DEFAULT in QEMU). */
const PIDS = 512;
const IO_WEIGHT = 100;

/**
 * The limits of a VM. One processor beyond the vCPUs is for disks, console and timers, so that a guest which is busy on
 * every vCPU does not starve them. `emulated`: guest code is translated rather than run by the processor.
 */
export function limitsOf(
  spec: { readonly vcpus: number; readonly memoryMib: number },
  options: { readonly emulated: boolean },
): Limits {
  const translationMib = options.emulated ? TRANSLATION_MIB : 0;
  const memoryMib =
    spec.memoryMib + OVERHEAD_MIB + Math.ceil(spec.memoryMib * OVERHEAD_SHARE) + translationMib;
  return { memoryBytes: memoryMib * 2 ** 20, cpuCores: spec.vcpus + 1, pids: PIDS, ioWeight: IO_WEIGHT };
}
