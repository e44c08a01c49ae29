/** What a VM is asked to be, and what a command in it is asked to be; the limits of both. */
import { BangerError } from "./errors.ts";
import type { Init } from "./init.ts";
import { quote } from "./names.ts";
import type { NetworkSpec } from "./network-policy.ts";
import type { PublishedPort } from "./published-port.ts";
import type { VolumeMount } from "./volume.ts";

/** The limits of a spec, as the API states and the daemon enforces them. */
export const SPEC_LIMITS: Readonly<
  Record<"vcpus" | "memoryMib" | "diskMib", { readonly min: number; readonly max: number }>
> = {
  vcpus: { min: 1, max: 64 },
  memoryMib: { min: 128, max: 1024 * 1024 },
  diskMib: { min: 64, max: 16 * 1024 * 1024 },
};

export interface VmSpec {
  /** The name of the image, as registered. */
  readonly image: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  /** Size of the writable layer; the file is sparse. */
  readonly diskMib: number;
  /** Environment of every command in the VM, over the image's own. */
  readonly env: Readonly<Record<string, string>>;
  /** The driver that has to run it; undefined: the best that the host has at each start. */
  readonly vmm?: string | undefined;
  /** Which process 1 the guest gets; undefined: what the image says. */
  readonly init?: Init | undefined;
  /** The name of the kernel that it boots, looked up at each start; undefined: the default. */
  readonly kernel?: string | undefined;
  /** Volumes that are mounted in the guest; absent: none. */
  readonly volumes?: readonly VolumeMount[] | undefined;
  /** What the guest may reach. */
  readonly network: NetworkSpec;
  /** Ports of this host that lead into the guest; absent: none. */
  readonly ports?: readonly PublishedPort[] | undefined;
}

/** The size of a VM's own disk. */
export function diskBytes({ diskMib }: Pick<VmSpec, "diskMib">): number {
  return diskMib * 1024 * 1024;
}

/** A command to run in a guest. */
export interface ExecSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path in the guest; undefined: the image's, else the user's home. */
  readonly cwd: string | undefined;
  /** `name`, `uid`, `name:group` or `uid:gid`; undefined: the image's, else root. */
  readonly user: string | undefined;
  readonly tty: { readonly cols: number; readonly rows: number; readonly term: string } | undefined;
  /** 0: none. */
  readonly timeoutMs: number;
  /** What asks it to end when the guest powers off, a name without `SIG`; undefined: TERM. */
  readonly stopSignal?: string | undefined;
  /** Absolute path in the guest that is taken instead of `cwd` where the user may enter it. */
  readonly enter?: string | undefined;
  readonly builtin?: Builtin | undefined;
}

/** A program that the agent has in itself and runs in place of `argv`, which is for agents that are too old for it. */
export type Builtin = "sftp";

/** What an image says about how its commands run. */
export interface ImageConfig {
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  /** `80/tcp`, as the image writes them. */
  readonly exposedPorts?: readonly string[] | undefined;
  /** Paths that the image expects data to be kept at. */
  readonly volumes?: readonly string[] | undefined;
  /** `SIGTERM` or a number, as the image writes it. */
  readonly stopSignal?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** The size a VM gets when nobody says: a quarter of the cores up to 4, an eighth of the memory up to 8 GiB. */
export function defaultSize(host: { readonly cores: number; readonly memoryMib: number }): {
  vcpus: number;
  memoryMib: number;
  diskMib: number;
} {
  const vcpus = Math.min(4, Math.max(1, Math.floor(host.cores / 4)));
  const memoryMib = Math.min(8192, Math.max(512, Math.floor(host.memoryMib / 8 / 64) * 64));
  return { vcpus, memoryMib, diskMib: 8192 };
}

/** Parses `KEY=VALUE`. Errors: `invalid_argument` (no `=`, an empty or odd key, a NUL). */
export function parseEnvEntry(text: string): [string, string] {
  const at = text.indexOf("=");
  const key = at < 0 ? text : text.slice(0, at);
  if (at < 0 || !isEnvKey(key) || text.includes("\0")) {
    throw new BangerError("invalid_argument", `the environment entry ${quote(text)} is not KEY=VALUE`, {
      cure: "write it as KEY=VALUE, KEY of letters, digits and '_'",
      details: { field: "env" },
    });
  }
  return [key, text.slice(at + 1)];
}

/** Letters, digits and `_ . -`, not starting with a digit: what shells and the agent both accept. */
export function isEnvKey(key: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,254}$/.test(key);
}

/** Checks the shape of a driver's name; which there are the daemon knows. Errors: `invalid_argument`. */
export function validateVmm(name: string): string {
  if (/^[a-z]{1,32}$/.test(name)) return name;
  throw new BangerError("invalid_argument", `the driver ${quote(name)} is not valid`, {
    cure: "see which there are with: banger doctor",
    details: { field: "vmm" },
  });
}

const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$/;

/** Checks the shape of `name`, `uid`, `name:group`; whether it exists only the guest knows. Errors: `invalid_argument`. */
export function validateUser(user: string): string {
  if (USER.test(user)) return user;
  throw new BangerError("invalid_argument", `the user ${quote(user)} is not valid`, {
    cure: "write a user name or uid, optionally with ':group'",
    details: { field: "user" },
  });
}

/** Checks a working directory: absolute, no NUL, at most 4096 bytes. Errors: `invalid_argument`. */
export function validateWorkdir(path: string): string {
  if (path.startsWith("/") && !path.includes("\0") && path.length <= 4096) return path;
  throw new BangerError("invalid_argument", `the working directory ${quote(path)} is not an absolute path`, {
    details: { field: "workdir" },
  });
}
