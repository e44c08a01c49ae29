/** The diagnosis of limits: which the kernel holds hypervisors to, which not, why, and the cure. */
import type { DoctorCheck, DoctorRow } from "../model/doctor.ts";
import { LIMIT_NAMES, type LimitName } from "../model/limits.ts";
import { type CgroupFiles, createCgroupFiles } from "./cgroup-files.ts";
import { parseCgroupMounts } from "./cgroup-mounts.ts";
import type { Places } from "./cgroup-places.ts";
import type { Absence } from "./cgroup-unified.ts";

/** `places`: where the daemon makes groups. Its own process is what they are found for, so a cure needs a restart of the daemon. */
export function checkLimits(places: () => Places, files: CgroupFiles = createCgroupFiles()): DoctorCheck {
  return async () => {
    const absent = new Map(places().absent);
    if (!absent.has("io") && !sharesDisksByWeight(files)) absent.set("io", UNWEIGHTED);
    const enforced = LIMIT_NAMES.filter((name) => !absent.has(name));
    return {
      rows: [
        ...passed(enforced, places()),
        ...[...Map.groupBy(absent, ([, { why }]) => why).values()].map(warned),
      ],
      capabilities: Object.fromEntries(
        LIMIT_NAMES.map((name) => [`limits.${name}`, enforced.includes(name)]),
      ),
    };
  };
}

function passed(enforced: readonly LimitName[], { places }: Places): DoctorRow[] {
  if (enforced.length === 0) return [];
  const versions = new Set(places.map((place) => `v${place.version}`));
  return [
    {
      check: "limits",
      verdict: "pass",
      message: `${enforced.join(", ")} of each hypervisor (cgroup ${[...versions].join(" and ")})`,
    },
  ];
}

function warned(group: readonly (readonly [LimitName, Absence])[]): DoctorRow {
  const { why = "", cure } = group[0]?.[1] ?? {};
  const names = group.map(([name]) => name).join(", ");
  return { check: "limits", verdict: "warn", message: `not of ${names}: ${why}`, cure };
}

/**
 * Whether some disk honours weights: its scheduler is BFQ, or iocost watches it (kernel's Documentation/block/bfq-iosched.rst,
 * and io.cost.qos in admin-guide/cgroup-v2.rst).
 */
function sharesDisksByWeight(files: CgroupFiles): boolean {
  const schedulers = files
    .directories("/sys/class/block")
    .map((disk) => `/sys/class/block/${disk}/queue/scheduler`);
  if (schedulers.some((path) => files.read(path)?.includes("[bfq]") === true)) return true;
  const mounts = parseCgroupMounts(files.read("/proc/self/mountinfo") ?? "");
  return mounts.some(
    ({ mountPoint }) => files.read(`${mountPoint}/io.cost.qos`)?.includes("enable=1") === true,
  );
}

const UNWEIGHTED: Absence = {
  why: "no disk shares its time by weight; that takes the scheduler BFQ",
  cure: "as root, for each DISK below /sys/block: modprobe bfq; echo bfq > /sys/block/DISK/queue/scheduler",
};
