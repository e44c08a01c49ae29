/**
 * Where one Firecracker process keeps its things, each by two names: the host's, and the process's own, which differ in a
 * jail. A file below the VM's state directory is named relative to it, so that a snapshot taken of one VM finds the files of
 * the next; every other file keeps its absolute name, also in a jail.
 */
import { closeSync, openSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import type { RunDir } from "../port.ts";

export interface Place {
  /** Absolute. */
  readonly host: string;
  readonly inside: string;
}

export interface Places {
  readonly api: Place;
  readonly agent: Place;
  readonly log: Place;
  readonly metrics: Place;
  /** What the process says on stderr. */
  readonly errorsPath: string;
  readonly stateDir: string;
}

/**
 * The guest's vsock ports are behind this socket, and what the guest connects to is behind `v.sock_<port>`, which has to fit
 * into a socket's address, too.
 */
const VSOCK_NAME = "v.sock";

/** The places of a process that sees the host's file system; it runs in the state directory. */
export function placesOf(dir: RunDir): Places {
  const same = (path: string): Place => ({ host: path, inside: path });
  return {
    api: same(join(dir.runtimeDir, "api.sock")),
    agent: same(join(dir.runtimeDir, VSOCK_NAME)),
    ...logPlaces(dir, same),
  };
}

/** The places of a process whose root directory is `root`. */
export function jailedPlaces(dir: RunDir, root: string): Places {
  const jailed = (name: string): Place => ({ host: join(root, name), inside: name });
  return {
    api: jailed("api.sock"),
    agent: jailed(VSOCK_NAME),
    ...logPlaces(dir, (path) => ({ host: path, inside: insideName(dir.stateDir, path) })),
  };
}

/** What the process calls a file of the host. */
export function insideName(stateDir: string, path: string): string {
  const name = relative(stateDir, path);
  return name.startsWith("..") ? path : name;
}

/** Makes the files that Firecracker writes to, empty: the words of an earlier run must not pass for those of this one. */
export function createLogFiles(places: Places): void {
  for (const path of [places.log.host, places.metrics.host, places.errorsPath]) {
    rmSync(path, { force: true });
    closeSync(openSync(path, "wx", 0o600));
  }
}

function logPlaces(
  dir: RunDir,
  place: (path: string) => Place,
): Pick<Places, "log" | "metrics" | "errorsPath" | "stateDir"> {
  return {
    log: place(join(dir.stateDir, "firecracker.log")),
    metrics: place(join(dir.stateDir, "firecracker.metrics")),
    errorsPath: join(dir.stateDir, "firecracker.err"),
    stateDir: dir.stateDir,
  };
}
