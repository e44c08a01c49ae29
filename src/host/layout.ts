/** Every name that banger gives to a file or directory of the host. docs/files.md mirrors this page. */
import { lstatSync, mkdirSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { homeDirectory } from "../lib/home-directory.ts";
import { BangerError } from "../model/errors.ts";

/** A socket path holds 107 bytes and a NUL (unix(7)); this much is left for the directory of all sockets. */
const MAX_RUNTIME_DIR = 107 - "/0123456789ab/agent.sock".length;

/** The four places, and the names in them. All absolute. */
export class Layout {
  readonly configDir: string;
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly runtimeDir: string;

  constructor(dirs: { configDir: string; stateDir: string; cacheDir: string; runtimeDir: string }) {
    this.configDir = dirs.configDir;
    this.stateDir = dirs.stateDir;
    this.cacheDir = dirs.cacheDir;
    this.runtimeDir = dirs.runtimeDir;
  }

  /** The user's own; banger only reads it. */
  get configFile(): string {
    return join(this.configDir, "config.toml");
  }
  /** The user's own: certificates of registries, in a directory of the registry's name. */
  get certsDir(): string {
    return join(this.configDir, "certs.d");
  }
  get database(): string {
    return join(this.stateDir, "state.db");
  }
  get daemonLog(): string {
    return join(this.stateDir, "bangerd.log");
  }
  get vmsDir(): string {
    return join(this.stateDir, "vms");
  }
  get imagesDir(): string {
    return join(this.stateDir, "images");
  }
  get volumesDir(): string {
    return join(this.stateDir, "volumes");
  }
  get kernelsDir(): string {
    return join(this.stateDir, "kernels");
  }
  /** Where Firecracker's jails are made when the configuration names no other place. */
  get jailsDir(): string {
    return join(this.stateDir, "jails");
  }
  get snapshotsDir(): string {
    return join(this.stateDir, "snapshots");
  }
  get templatesDir(): string {
    return join(this.stateDir, "templates");
  }
  get kvmVerdicts(): string {
    return join(this.cacheDir, "kvm-verdicts.json");
  }
  /** Leads to the network's namespace of an ordinary user. */
  get netns(): string {
    return join(this.runtimeDir, "netns");
  }
  get socket(): string {
    return join(this.runtimeDir, "bangerd.sock");
  }
  /** Keys of the SSH door. */
  get sshDir(): string {
    return join(this.stateDir, "ssh");
  }
  get sshIdentity(): string {
    return join(this.sshDir, "id_ed25519");
  }
  get sshKnownHosts(): string {
    return join(this.sshDir, "known_hosts");
  }
  /** What the user's own configuration of ssh includes. */
  get sshConfig(): string {
    return join(this.sshDir, "config");
  }
  /** Held by the daemon for its life; says which process it is, and its socket. */
  get daemonLock(): string {
    return join(this.stateDir, "bangerd.lock");
  }
  /** Held by a daemon while it starts, so that a second starter waits for it. */
  get startLock(): string {
    return join(this.stateDir, "bangerd.start-lock");
  }

  /** Where the copies of workspaces are made before their VM is there. */
  get workspacesDir(): string {
    return join(this.stateDir, "workspaces");
  }
  vmDir(id: string): string {
    return join(this.vmsDir, id);
  }
  handles(id: string): string {
    return join(this.vmDir(id), "handles.json");
  }
  /** A directory of the host as it was at the VM's start; `place` is its place among the VM's mounts. */
  copiedDirectory(id: string, place: number): string {
    return join(this.vmDir(id), `directory-${place}.squashfs`);
  }
  sshHostKey(id: string): string {
    return join(this.vmDir(id), "ssh-host-key");
  }
  volume(id: string): string {
    return join(this.volumesDir, `${id}.ext4`);
  }
  console(id: string): string {
    return join(this.vmDir(id), "console.log");
  }
  disk(id: string): string {
    return join(this.vmDir(id), "disk.ext4");
  }
  /** Marks the directory of a machine that is no VM: banger booted it for itself. */
  aside(id: string): string {
    return join(this.vmDir(id), "aside");
  }
  vmRuntimeDir(id: string): string {
    return join(this.runtimeDir, id);
  }
}

/**
 * Finds the four places: all under `BANGER_HOME` if that is set, else by the XDG variables, else their defaults
 * (https://specifications.freedesktop.org/basedir-spec/). Touches nothing. Errors: `invalid_argument` for a relative
 * directory or one whose sockets would not fit.
 */
export function findLayout(env: Readonly<Record<string, string | undefined>>, uid: number): Layout {
  const home = env["BANGER_HOME"];
  const layout =
    home !== undefined && home !== ""
      ? new Layout({
          configDir: absolute(home, "BANGER_HOME"),
          stateDir: home,
          cacheDir: join(home, "cache"),
          runtimeDir: join(home, "run"),
        })
      : new Layout({
          configDir: join(xdg(env, "XDG_CONFIG_HOME", ".config"), "banger"),
          stateDir: join(xdg(env, "XDG_STATE_HOME", ".local/state"), "banger"),
          cacheDir: join(xdg(env, "XDG_CACHE_HOME", ".cache"), "banger"),
          runtimeDir: runtimeDir(env, uid),
        });
  if (Buffer.byteLength(layout.runtimeDir) > MAX_RUNTIME_DIR) {
    throw new BangerError(
      "invalid_argument",
      `${layout.runtimeDir} is too long for a directory of sockets (${MAX_RUNTIME_DIR} bytes)`,
      { cure: "choose a shorter BANGER_HOME or XDG_RUNTIME_DIR" },
    );
  }
  return layout;
}

/**
 * Makes the directories, all mode 0700. Errors: `resource_exhausted`; `permission_denied` for one that belongs to somebody else, is open to others or is a
 * symbolic link where only a directory will do (the shared /tmp).
 */
export function createLayout(layout: Layout, uid: number): void {
  for (const dir of [layout.stateDir, layout.cacheDir, layout.runtimeDir, layout.vmsDir, layout.volumesDir]) {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
    } catch (error) {
      const { code, message } = BangerError.from(error);
      const isFull = code === "resource_exhausted";
      throw new BangerError(
        isFull ? code : "permission_denied",
        `cannot make the directory ${dir}: ${message}`,
        {
          cure: `${isFull ? "free space there" : "make it writable for you"}, or choose another place with BANGER_HOME=DIR`,
          cause: error,
        },
      );
    }
  }
  const found = lstatSync(layout.runtimeDir);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new BangerError("permission_denied", `${layout.runtimeDir} is not a directory of yours alone`, {
      cure: `see what it is with: ls -ld ${layout.runtimeDir}; then remove it, or set XDG_RUNTIME_DIR`,
    });
  }
}

function runtimeDir(env: Readonly<Record<string, string | undefined>>, uid: number): string {
  const base = env["XDG_RUNTIME_DIR"];
  return base !== undefined && isAbsolute(base) ? join(base, "banger") : `/tmp/banger-${uid}`;
}

/** The specification says that a relative path is to be ignored. */
function xdg(env: Readonly<Record<string, string | undefined>>, name: string, fallback: string): string {
  const value = env[name];
  if (value !== undefined && isAbsolute(value)) return value;
  return join(absolute(homeDirectory(env), "HOME"), fallback);
}

function absolute(path: string, name: string): string {
  if (isAbsolute(path)) return path;
  throw new BangerError("invalid_argument", `${name} is not an absolute path: ${path}`, {
    cure: `set it to one, such as ${name}=$PWD/${path}`,
  });
}
