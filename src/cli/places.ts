/** The two places that the command line must know without the daemon, by the daemon's rule (host/layout.ts); a test compares. */
import { homedir } from "node:os";
import { join } from "node:path";

type Env = Readonly<Record<string, string | undefined>>;

export function socketPath(env: Env, uid: number): string {
  const home = env["BANGER_HOME"];
  if (home !== undefined && home !== "") return join(home, "run", "bangerd.sock");
  const runtime = env["XDG_RUNTIME_DIR"];
  const base = runtime?.startsWith("/") === true ? join(runtime, "banger") : `/tmp/banger-${uid}`;
  return join(base, "bangerd.sock");
}

export function daemonLogPath(env: Env): string {
  const home = env["BANGER_HOME"];
  if (home !== undefined && home !== "") return join(home, "bangerd.log");
  const state = env["XDG_STATE_HOME"];
  const base = state?.startsWith("/") === true ? state : join(env["HOME"] ?? homedir(), ".local/state");
  return join(base, "banger", "bangerd.log");
}
