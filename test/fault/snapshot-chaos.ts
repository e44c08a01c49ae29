/** Snapshot operations at random, two at a time, while the daemon and hypervisors are killed at random moments. */
import { expect } from "bun:test";
import { BangerError, type Client } from "../../src/sdk/index.ts";

/** Where it happens. */
export interface ChaosHome {
  /** Of the daemon that serves, which is started when there is none. */
  client(): Promise<Client>;
  /** The daemon is gone when this resolves. */
  killDaemon(): Promise<void>;
  /** Live hypervisors, whoever they belong to. */
  hypervisors(): readonly number[];
}

export interface ChaosOptions {
  readonly seed: number;
  readonly operations: number;
  readonly image: string;
  readonly memoryMib: number;
  readonly diskMib: number;
  /** No kill comes later than so many milliseconds after its operations began. */
  readonly withinMs: number;
}

/** More are removed before anything else is done. */
const MOST_VMS = 5;
const MOST_SNAPSHOTS = 4;

type Operation = (client: Client, pick: <T>(of: readonly T[]) => T | undefined) => Promise<unknown>;

/** How many were done, and how many of them were told that something failed. */
export interface ChaosReport {
  readonly done: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly daemons: number;
  readonly hypervisors: number;
}

export async function runSnapshotChaos(home: ChaosHome, options: ChaosOptions): Promise<ChaosReport> {
  const random = createRandom(options.seed);
  const pick = <T>(of: readonly T[]): T | undefined => of[Math.floor(random() * of.length)];
  const operations = operationsOf(options);
  const names = Object.keys(operations);
  const done: Record<string, number> = {};
  let [failed, daemons, hypervisors] = [0, 0, 0];
  for (let count = 0; count < options.operations; count += 2) {
    const client = await home.client();
    await makeRoom(client);
    const kill = pick(["daemon", "hypervisor", "hypervisor", "nothing"] as const);
    const moment = after(random() * options.withinMs);
    const killing = moment.then(async () => {
      if (kill === "daemon") {
        daemons += 1;
        await home.killDaemon();
      } else if (kill === "hypervisor") {
        const pid = pick(home.hypervisors());
        if (pid !== undefined && end(pid)) hypervisors += 1;
      }
    });
    const work = [pick(names), pick(names)].map(async (name = "") => {
      done[name] = (done[name] ?? 0) + 1;
      await operations[name]?.(client, pick).catch((error: unknown) => {
        failed += 1;
        const { code, message } = BangerError.from(error);
        // What broke was outside; nothing inside did.
        expect(code, `${name}: ${message}`).not.toBe("internal");
      });
    });
    await Promise.all([...work, killing]);
  }
  return { done, failed, daemons, hypervisors };
}

/** Every VM can be used, or started, and every snapshot be gone on from; then all of it is removed. */
export async function expectUsable(client: Client): Promise<void> {
  for (const { id, state } of await client.listVms()) {
    if (state === "paused") await client.resumeVm(id);
    await client.startVm(id);
    expect((await client.exec(id, { argv: ["true"] }).exit)?.exitCode).toBe(0);
    await client.removeVm(id, { force: true });
  }
  for (const { name } of await client.listSnapshots()) {
    const exit = await client.run({ vm: { snapshot: name }, exec: { argv: ["true"] }, remove: true }).exit;
    expect(exit?.exitCode, `from the snapshot ${name}`).toBe(0);
    await client.removeSnapshot(name);
  }
  await client.pruneTemplates();
}

async function makeRoom(client: Client): Promise<void> {
  const [vms, snapshots] = await Promise.all([client.listVms(), client.listSnapshots()]);
  for (const { id } of vms.slice(MOST_VMS)) await quietly(client.removeVm(id, { force: true }));
  for (const { name } of snapshots.slice(MOST_SNAPSHOTS)) await quietly(client.removeSnapshot(name));
}

function operationsOf({ image, memoryMib, diskMib }: ChaosOptions): Readonly<Record<string, Operation>> {
  const shape = { image, memoryMib, diskMib };
  const ofVm =
    (work: (client: Client, id: string) => Promise<unknown>): Operation =>
    async (client, pick) => {
      const vm = pick(await client.listVms()) ?? (await client.createVm(shape));
      return await work(client, vm.id);
    };
  const ofSnapshot =
    (work: (client: Client, snapshot: { name: string; vm: string }) => Promise<unknown>): Operation =>
    async (client, pick) => {
      const snapshot = pick(await client.listSnapshots());
      return snapshot === undefined ? undefined : await work(client, snapshot);
    };
  return {
    create: ofVm((client, id) => client.createSnapshot(id)),
    "create again": ofVm((client, id) => client.createSnapshot(id)),
    "create --disk-only": ofVm((client, id) => client.createSnapshot(id, { diskOnly: true })),
    restore: ofSnapshot((client, { name, vm }) => client.restoreVm(vm, name)),
    rm: ofSnapshot((client, { name }) => client.removeSnapshot(name)),
    "run --snapshot": ofSnapshot((client, { name }) => runTrue(client, { snapshot: name })),
    "create --snapshot": ofSnapshot((client, { name }) => client.createVm({ snapshot: name })),
    fork: ofVm((client, id) => client.forkVm(id, { count: 2 })),
    start: ofVm((client, id) => client.startVm(id)),
    "run warm": (client) => runTrue(client, shape),
    "template prune": (client) => client.pruneTemplates(),
  };
}

function runTrue(client: Client, vm: Parameters<Client["run"]>[0]["vm"]): Promise<unknown> {
  return client.run({ vm, exec: { argv: ["true"] }, remove: true }).exit;
}

/** Whether it was there. */
function end(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
    return false;
  }
}

async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => expect(BangerError.from(error).code).not.toBe("internal"));
}

async function after(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  await promise;
}

/** Numbers from 0 to 1, the same for the same seed: a linear congruential generator with Knuth's constants for 64 bits. */
function createRandom(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n);
    return Number(state >> 32n) / 2 ** 32;
  };
}
