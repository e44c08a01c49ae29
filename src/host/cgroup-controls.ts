/**
 * Which control files hold a limit, in either version: the kernel's Documentation/admin-guide/cgroup-v2.rst, and
 * cgroup-v1/{memory,pids}.rst, scheduler/sched-bwc.rst and block/bfq-iosched.rst.
 */
import type { LimitName, Limits } from "../model/limits.ts";

export interface Setting {
  readonly file: string;
  readonly value: string;
}

/** The controller that has the limit. */
export const CONTROLLERS: Readonly<Record<1 | 2, Readonly<Record<LimitName, string>>>> = {
  1: { memory: "memory", cpu: "cpu", pids: "pids", io: "blkio" },
  2: { memory: "memory", cpu: "cpu", pids: "pids", io: "io" },
};

/** 100 ms, the kernel's own default: how long a group may have to wait once its share is used up. */
const CPU_PERIOD_US = 100_000;

/** Ways to set a limit, the best first; each is a list of writes in their order. The kernel has the files of one of them, or none. */
export function settingsOf(name: LimitName, limits: Limits, version: 1 | 2): readonly (readonly Setting[])[] {
  const period = String(CPU_PERIOD_US);
  const quota = String(limits.cpuCores * CPU_PERIOD_US);
  const weight = String(limits.ioWeight);
  switch (name) {
    case "memory":
      return [
        [{ file: version === 1 ? "memory.limit_in_bytes" : "memory.max", value: String(limits.memoryBytes) }],
      ];
    case "cpu":
      if (version === 2) return [[{ file: "cpu.max", value: `${quota} ${period}` }]];
      return [
        [
          { file: "cpu.cfs_period_us", value: period },
          { file: "cpu.cfs_quota_us", value: quota },
        ],
      ];
    case "pids":
      return [[{ file: "pids.max", value: String(limits.pids) }]];
    case "io":
      // Weights belong to iocost (version 2), to the BFQ scheduler, and before Linux 5.0 to CFQ (version 1).
      if (version === 2)
        return [[{ file: "io.weight", value: weight }], [{ file: "io.bfq.weight", value: weight }]];
      return [[{ file: "blkio.bfq.weight", value: weight }], [{ file: "blkio.weight", value: weight }]];
  }
}
