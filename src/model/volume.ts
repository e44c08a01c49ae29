/** Volumes: disks that outlive VMs, directories of the host that are copied in, and how VMs name them. */
import { BangerError } from "./errors.ts";
import { quote, validateVmName } from "./names.ts";

export interface VolumeMount {
  /** The name of a volume, or the absolute path of a directory of the host: its content at each start, read-only. */
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

/** Whether a mount is of a directory of the host. */
export function isDirectoryMount({ volume }: Pick<VolumeMount, "volume">): boolean {
  return volume.startsWith("/");
}

/** Checks what is mounted: a volume's name, or an absolute path. Errors: `invalid_argument`. */
export function validateMountSource(source: string): string {
  if (!source.startsWith("/")) return validateVolumeName(source);
  if (source.length <= 4096 && !CONTROL.test(source)) return source;
  throw new BangerError("invalid_argument", `${quote(source)} is no path of a directory`, {
    details: { field: "volume" },
  });
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

/** Parses `NAME:/PATH[:ro]`, or `/DIRECTORY:/PATH:ro`. Errors: `invalid_argument`. */
export function parseMount(text: string): VolumeMount {
  const [volume = "", target, mode, ...more] = text.split(":");
  if (target === undefined || more.length > 0 || (mode !== undefined && mode !== "ro" && mode !== "rw")) {
    throw new BangerError("invalid_argument", `${quote(text)} is no volume and path`, {
      cure: "write it as NAME:/PATH, NAME:/PATH:ro or ./DIRECTORY:/PATH:ro",
      details: { field: "volume" },
    });
  }
  if (isDirectoryMount({ volume }) && mode !== "ro") {
    throw new BangerError(
      "invalid_argument",
      `${quote(volume)} is a directory, and those are copied in to be read`,
      {
        cure: `write it as ${volume}:${target}:ro; or copy it with: banger cp ${volume} VM:${target}`,
        details: { field: "volume" },
      },
    );
  }
  return {
    volume: validateMountSource(volume),
    target: validateMountTarget(target),
    readOnly: mode === "ro",
  };
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
