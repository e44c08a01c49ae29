/** Writing a paused machine into a directory: straight, or by way of the jail, which sees nothing else. */
import { chmodSync, chownSync, copyFileSync, lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { readCommandLine } from "../../lib/process-identity.ts";
import { storageError } from "../../lib/publish.ts";
import { BangerError } from "../../model/errors.ts";
import type { SnapshotOptions } from "../port.ts";
import { demandEmpty, removeSnapshot, snapshotFiles, writeDescription } from "../snapshot-files.ts";
import type { ApiClient } from "./api-client.ts";
import { describeInstance, describeMachine } from "./description.ts";
import { factsFromConfig } from "./facts.ts";
import type { JailOwner } from "./jail-paths.ts";
import { featuresOf } from "./platform.ts";
import { snapshotRequest } from "./requests.ts";

/** Firecracker writes all of the guest's memory before it answers: a terabyte at 1 GB/s is far above what anybody has. */
const TIMEOUT_MS = 20 * 60 * 1000;
const JAILED_NAME = "snapshot";

export interface SaveInput {
  readonly api: ApiClient;
  readonly pid: number;
  /** Undefined for a process that sees the host's files. */
  readonly jail: { readonly root: string; readonly owner: JailOwner } | undefined;
}

/** As `Running.snapshot`. */
export async function saveFirecracker(
  dir: string,
  { api, pid, jail }: SaveInput,
  options: SnapshotOptions = {},
): Promise<void> {
  const { state, vmm_version: version } = await describeInstance(api);
  if (!featuresOf(version).snapshot) throw noSnapshots();
  if (state !== "Paused") {
    throw new BangerError("failed_precondition", `the machine is ${state}; a snapshot needs it paused`);
  }
  demandEmpty(dir);
  try {
    const transport = readCommandLine(pid).includes("--enable-pci") ? "pci" : "mmio";
    writeDescription(dir, "firecracker", factsFromConfig(await describeMachine(api), { version, transport }));
    if (jail === undefined) await write(api, dir);
    else await writeInJail(api, dir, jail);
    options.captured?.();
  } catch (error) {
    removeSnapshot(dir);
    throw storageError(error, dir);
  }
}

/** Without `vsock_override` all clones would share one socket. */
export function noSnapshots(): BangerError {
  return new BangerError("unsupported", "snapshots need Firecracker 1.16.0 or newer");
}

async function write(api: ApiClient, dir: string): Promise<void> {
  await api.send(snapshotRequest(dir), { timeoutMs: TIMEOUT_MS });
  const { state, memory } = snapshotFiles(dir);
  for (const path of [state, memory]) chmodSync(path, 0o600);
}

async function writeInJail(
  api: ApiClient,
  dir: string,
  { root, owner }: NonNullable<SaveInput["jail"]>,
): Promise<void> {
  const inside = join(root, JAILED_NAME);
  rmSync(inside, { recursive: true, force: true });
  mkdirSync(inside, { mode: 0o700 });
  chownSync(inside, owner.uid, owner.gid);
  try {
    await api.send(snapshotRequest(JAILED_NAME), { timeoutMs: TIMEOUT_MS });
    // Nobody in the jail can reach the files any more while we look at them.
    chownSync(inside, 0, 0);
    const { state, memory } = snapshotFiles(dir);
    for (const path of [state, memory]) takeOut(join(inside, basename(path)), path);
  } finally {
    rmSync(inside, { recursive: true, force: true });
  }
}

function takeOut(from: string, to: string): void {
  const found = lstatSync(from, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile() || found.nlink !== 1) {
    throw new BangerError("internal", `Firecracker left no proper file ${from} in its jail`);
  }
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    copyFileSync(from, to);
  }
  chownSync(to, 0, 0);
  chmodSync(to, 0o600);
}
