/** What an ordinary user's network consists of on this host, for tests that must leave none of it. */
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findAllByCommandLine } from "../../src/lib/find-processes.ts";
import { findByCommandLine, type ProcessHandle } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { holderMarker } from "../../src/network/user/holder.ts";
import { isUser } from "./ordinary-user.ts";
import { killToTheEnd } from "./processes.ts";
import type { RealHome } from "./real-home.ts";

const OURS = { isOurs: isUser } as const;

/** Where the namespace of this home is. */
export function userNamespace(home: string): string {
  return join(home, "run/netns");
}

/** The processes that keep the namespace of this home: one, or none. */
export function keepersOf(home: string): readonly ProcessHandle[] {
  return findByCommandLine(holderMarker(userNamespace(home)), OURS);
}

/** The processes that daemons of this home have in its namespace: each has its daemon's environment. */
export async function workersOf(home: string): Promise<readonly ProcessHandle[]> {
  const found = await findAllByCommandLine("inside", OURS);
  return found.filter(({ pid }) => readEnvironment(pid).includes(`BANGER_HOME=${home}`));
}

/** Resolves when those that are there now have ended, as they do with their daemon. */
export async function workersEnded(home: string): Promise<void> {
  for (const worker of await workersOf(home)) await (await watchProcess(worker))?.ended;
}

/** Kills the daemon of this home, and resolves when what it had in the namespace has ended with it. */
export async function killUserDaemon(home: RealHome): Promise<void> {
  await killToTheEnd(await home.daemonPid());
  await workersEnded(home.home);
}

/** What there is of the network of this home. */
export async function userNetworkRemains(home: string): Promise<string[]> {
  const namespace = userNamespace(home);
  const pids = (what: string, found: readonly ProcessHandle[]): string[] =>
    found.map(({ pid }) => `${what} ${pid}`);
  return [
    ...pids("keeper", await findAllByCommandLine(holderMarker(namespace), OURS)),
    ...pids("uplink", await findAllByCommandLine(namespace, OURS)),
    ...pids("worker", await workersOf(home)),
    ...(lstatSync(namespace, { throwIfNoEntry: false }) === undefined ? [] : [namespace]),
  ];
}

/** Empty of one that has ended. */
function readEnvironment(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
