/** Whether records, files and processes of a home agree with each other. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Layout } from "../../src/host/layout.ts";
import { readCommandLine } from "../../src/lib/process-identity.ts";
import { isUnrecorded } from "../../src/lib/unrecorded.ts";
import type { Client } from "../../src/sdk/client.ts";
import type { Vm } from "../../src/sdk/index.ts";
import { processMarker } from "../../src/vmm/port.ts";
import { hypervisorsOf } from "../support/processes.ts";

/** States in which a VM may be while no operation is under way on it and nothing failed. */
const SETTLED: readonly string[] = ["stopped", "running", "paused"];

/** What lives or lies under a home that belongs to VMs. */
export interface Leftovers {
  /** Ids with a directory in vms/. */
  readonly directories: readonly string[];
  /** Ids with a runtime directory. */
  readonly runtimeDirectories: readonly string[];
  readonly pids: readonly number[];
}

/** A home that is gone has none. */
export function leftovers(layout: Layout): Leftovers {
  return {
    directories: entries(layout.vmsDir),
    runtimeDirectories: entries(layout.runtimeDir).filter((name) => /^[0-9a-f]{12}$/.test(name)),
    pids: hypervisorsOf(layout.stateDir),
  };
}

/** Sorted; what a crash left half made, too. */
function entries(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir).sort() : [];
}

export const NOTHING: Leftovers = { directories: [], runtimeDirectories: [], pids: [] };

/** Every disagreement as a sentence; none when the records tell the truth, nothing leaks, and what runs can be used. */
export async function findLies(layout: Layout, client: Client): Promise<string[]> {
  const vms = await client.listVms();
  const live = vms.filter(isLive);
  const found = leftovers(layout);
  const lies = [
    ...differences("directories and rows", found.directories, vms.map((vm) => vm.id).sort()),
    ...differences(
      "runtime directories and live VMs",
      found.runtimeDirectories,
      live.map((vm) => vm.id).sort(),
    ),
    ...differences("hypervisors and live VMs", found.pids, live.map((vm) => vm.pid ?? 0).sort(ascending)),
    ...vms.flatMap((vm) => liesOfVm(layout, vm)),
    ...liesOfPorts(vms),
    ...differences(
      "snapshots and their directories",
      entries(layout.snapshotsDir),
      (await client.listSnapshots()).map(({ id }) => id).sort(),
    ),
    ...(await liesOfVolumes(layout, client)),
    ...liesOfMarks(layout, vms),
    ...differences(
      "templates and their directories",
      entries(layout.templatesDir),
      (await client.listTemplates()).map(({ id }) => id).sort(),
    ),
  ];
  for (const vm of vms.filter((one) => one.state === "running")) {
    const exit = await client.exec(vm.id, { argv: ["true"] }).exit;
    if (exit?.exitCode !== 0) lies.push(`${vm.name} runs and cannot be used`);
  }
  return lies;
}

function liesOfVm(layout: Layout, vm: Vm): string[] {
  const lies: string[] = [];
  if (!SETTLED.includes(vm.state)) lies.push(`${vm.name} is ${vm.state}: ${vm.lastError?.message}`);
  if (vm.ephemeral) lies.push(`${vm.name} is ephemeral and still there`);
  if (existsSync(layout.handles(vm.id)) !== isLive(vm)) lies.push(`${vm.name} is ${vm.state}: handles`);
  if (isLive(vm) && !readCommandLine(vm.pid ?? 0).includes(processMarker(vm.id)))
    lies.push(`${vm.name} has the pid ${vm.pid} of something else`);
  return lies;
}

/** Every volume has a file of its own name, and there is no other file. */
async function liesOfVolumes(layout: Layout, client: Client): Promise<string[]> {
  const files = entries(layout.volumesDir);
  const odd = files.filter((name) => !/^[0-9a-f]{12}\.ext4$/.test(name));
  const volumes = await client.listVolumes();
  const empty = volumes.filter(({ storedBytes }) => storedBytes === 0);
  return [
    ...differences("volumes' files and volumes", [files.length], [volumes.length]),
    ...[...odd, ...empty.map(({ name }) => name)].map((name) => `${name} is no whole volume`),
  ];
}

/** Snapshots, and VMs that started, do not say that they have no record. */
function liesOfMarks(layout: Layout, vms: readonly Vm[]): string[] {
  const started = vms.filter(({ startedAt }) => startedAt !== undefined).map(({ id }) => layout.vmDir(id));
  const snapshots = entries(layout.snapshotsDir).map((name) => join(layout.snapshotsDir, name));
  return [...started, ...snapshots].filter(isUnrecorded).map((dir) => `${dir} says that it has no record`);
}

/** The ports that somebody listens on by TCP over IPv4, at `address` when given. */
export function listeningPorts(address?: string): ReadonlySet<number> {
  // In the host's order of bytes, which is the least significant first here (proc(5)).
  const place =
    address === undefined ? "" : Buffer.from(address.split(".").map(Number).toReversed()).toString("hex");
  return new Set(
    readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .map((line) => line.trim().toLowerCase().split(/\s+/))
      // The lines of LISTEN are the ones in state 0A (proc(5)).
      .filter(([, local, , state]) => state === "0a" && local?.startsWith(place))
      .map(([, local]) => Number.parseInt(local?.split(":")[1] ?? "", 16)),
  );
}

/** The published ports of VMs that are up are listened on, and those of the others are not. */
function liesOfPorts(vms: readonly Vm[]): string[] {
  const listening = listeningPorts();
  return vms.flatMap((vm) =>
    (vm.spec.ports ?? [])
      .filter(({ hostPort }) => listening.has(hostPort) !== isLive(vm))
      .map(({ hostPort }) => `${vm.name} is ${vm.state}, and its port ${hostPort} says something else`),
  );
}

function isLive(vm: Vm): boolean {
  return vm.state === "running" || vm.state === "paused";
}

function differences<T>(what: string, found: readonly T[], expected: readonly T[]): string[] {
  const [left, right] = [found.join(" "), expected.join(" ")];
  return left === right ? [] : [`${what} differ: [${left}] and [${right}]`];
}

function ascending(one: number, other: number): number {
  return one - other;
}
