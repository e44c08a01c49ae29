/** After an upgrade the daemon of the old banger goes on: whoever uses it is to know. */
import { readFileSync } from "node:fs";
import { daemonLockPath } from "./places.ts";

/** Which banger a program is. */
export interface Build {
  readonly version: string;
  /** Of a binary: what it was made of. Absent in a checkout, which changes under its daemon all the time. */
  readonly build?: string | undefined;
}

/** A line about a daemon that is of another banger than `own`, with the cure. A file is read for it; nobody is asked. */
export function remarkOtherDaemon(
  own: Build,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const daemon = readDaemonBuild(env);
  const difference = daemon && differenceOf(daemon, own);
  return difference === undefined
    ? undefined
    : `banger: the running daemon is ${difference}; VMs live on when it is renewed with: banger daemon restart`;
}

function differenceOf(daemon: Build, own: Build): string | undefined {
  if (daemon.version !== own.version) return `banger ${daemon.version}, and this command ${own.version}`;
  const isSame = daemon.build === undefined || own.build === undefined || daemon.build === own.build;
  return isSame ? undefined : `another build of banger ${own.version} than this command`;
}

/** Undefined: there is none, or none that says it. */
function readDaemonBuild(env: Readonly<Record<string, string | undefined>>): Build | undefined {
  try {
    const said = JSON.parse(readFileSync(daemonLockPath(env), "utf8")) as unknown;
    if (typeof said !== "object" || said === null || !("version" in said)) return undefined;
    const build = "build" in said && typeof said.build === "string" ? said.build : undefined;
    return typeof said.version === "string" ? { version: said.version, build } : undefined;
  } catch {
    // Empty on a full disk, or of a daemon that is just starting; the remark is worth no error.
    return undefined;
  }
}
