/** Volumes: disks that outlive VMs, and how VMs name them. */
import { BangerError } from "./errors.ts";
import { quote, validateVmName } from "./names.ts";

export interface VolumeMount {
  readonly volume: string;
  /** Absolute path in the guest. */
  readonly target: string;
  readonly readOnly: boolean;
}

/** The durable record of a volume. */
export interface VolumeRecord {
  /** 12 characters of `0-9 a-f`. */
  readonly id: string;
  readonly name: string;
  /** A multiple of 4096. */
  readonly sizeBytes: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** Volumes of one VM. */
export const MAX_MOUNTS = 16;

/** Mounting there would hide what the guest needs. */
const NEEDED: ReadonlySet<string> = new Set([
  "/",
  "/dev",
  "/proc",
  "/sys",
  "/run",
  "/etc",
  "/usr",
  "/bin",
  "/lib",
]);

/** Checks a name: the rule of VM names. Errors: `invalid_argument`. */
export function validateVolumeName(name: string): string {
  try {
    return validateVmName(name);
  } catch (error) {
    throw new BangerError("invalid_argument", `the volume name ${quote(name)} is not valid`, {
      cure: "use 1 to 63 characters of a-z, 0-9 and '-', with no '-' at either end",
      details: { field: "volume" },
      cause: error,
    });
  }
}

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\0-\x1f\x7f]/;

/** Checks where a volume is mounted. Errors: `invalid_argument`. */
export function validateMountTarget(target: string): string {
  const parts = target.split("/").slice(1);
  const plain = parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (
    target.startsWith("/") &&
    plain &&
    target.length <= 4096 &&
    !CONTROL.test(target) &&
    !NEEDED.has(target)
  ) {
    return target;
  }
  throw new BangerError("invalid_argument", `a volume cannot be mounted on ${quote(target)}`, {
    cure: "choose an absolute path of its own, such as /data",
    details: { field: "volume" },
  });
}

/** Parses `NAME:/PATH[:ro]`. Errors: `invalid_argument`. */
export function parseMount(text: string): VolumeMount {
  const [volume = "", target, mode, ...more] = text.split(":");
  if (target === undefined || more.length > 0 || (mode !== undefined && mode !== "ro" && mode !== "rw")) {
    throw new BangerError("invalid_argument", `${quote(text)} is no volume and path`, {
      cure: "write it as NAME:/PATH or NAME:/PATH:ro",
      details: { field: "volume" },
    });
  }
  if (/^[./~]/.test(volume)) {
    throw new BangerError("unsupported", `${quote(volume)} is a directory, and only volumes are mounted`, {
      cure: `copy it into the VM with: banger cp ${volume} VM:${target}`,
      details: { field: "volume" },
    });
  }
  return { volume: validateVolumeName(volume), target: validateMountTarget(target), readOnly: mode === "ro" };
}

/** Checks the mounts of one VM together. Errors: `invalid_argument` for one volume or path that is named twice, or too many. */
export function validateMounts(mounts: readonly VolumeMount[]): readonly VolumeMount[] {
  const twice = (of: (mount: VolumeMount) => string): string | undefined =>
    mounts.map(of).find((one, at, all) => all.indexOf(one) !== at);
  const again = twice((mount) => mount.volume) ?? twice((mount) => mount.target);
  if (again === undefined && mounts.length <= MAX_MOUNTS) return mounts;
  const message =
    again === undefined ? `a VM has at most ${MAX_MOUNTS} volumes` : `${quote(again)} is given to -v twice`;
  throw new BangerError("invalid_argument", message, { details: { field: "volume" } });
}
