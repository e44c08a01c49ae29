/** The places that the command line must know without the daemon, by the daemon's rule (host/layout.ts); a test compares. */
import { join } from "node:path";
import { homeDirectory } from "../lib/home-directory.ts";

type Env = Readonly<Record<string, string | undefined>>;

export function socketPath(env: Env, uid: number): string {
  const home = env["BANGER_HOME"];
  if (home !== undefined && home !== "") return join(home, "run", "bangerd.sock");
  const runtime = env["XDG_RUNTIME_DIR"];
  const base = runtime?.startsWith("/") === true ? join(runtime, "banger") : `/tmp/banger-${uid}`;
  return join(base, "bangerd.sock");
}

export function daemonLogPath(env: Env): string {
  return join(stateDir(env), "bangerd.log");
}

/** Held by the daemon; says which banger it is. */
export function daemonLockPath(env: Env): string {
  return join(stateDir(env), "bangerd.lock");
}

/** What the user's own configuration of ssh includes. */
export function sshConfigPath(env: Env): string {
  return join(stateDir(env), "ssh", "config");
}

/** The user's own configuration of ssh (ssh_config(5)). */
export function sshUserConfigPath(env: Env): string {
  return join(homeDirectory(env), ".ssh", "config");
}

function stateDir(env: Env): string {
  const home = env["BANGER_HOME"];
  if (home !== undefined && home !== "") return home;
  const state = env["XDG_STATE_HOME"];
  const base = state?.startsWith("/") === true ? state : join(homeDirectory(env), ".local/state");
  return join(base, "banger");
}
