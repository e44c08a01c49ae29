/** One crash of the daemon in the middle of an operation: finding the points, dying there, and looking at what the next daemon makes of it. */
import { expect } from "bun:test";
import type { Layout } from "../../src/host/layout.ts";
import type { Client } from "../../src/sdk/client.ts";
import { BangerError, type Vm } from "../../src/sdk/index.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";
import { createFaultHome, type DaemonFaults, type FaultHome, startDaemon } from "./daemon-process.ts";
import type { CrashPoint } from "./daemon-program.ts";
import { type FaultOperation, type Found, IMAGE, VM } from "./operation.ts";
import { findLies, leftovers, NOTHING } from "./truth.ts";

/** Runs all the time beside the VM that the operation is about, and must not notice anything. */
const BYSTANDER = "bystander";

/** Every step that the operation announces in a run without faults. */
export async function findCrashPoints(operation: FaultOperation): Promise<CrashPoint[]> {
  await using home = await createFaultHome();
  await using daemon = await startDaemon(home, faultsOf(operation));
  await prepare(operation, daemon.client);
  const before = daemon.steps().length;
  await operation.act(daemon.client);
  const points = crashPoints(daemon.steps());
  await removeAll(daemon.client);
  // This daemon is killed next, and no other comes to this home.
  if (operation.nics === true) await daemon.client.takeNetworkDown();
  return points.slice(before).filter(({ step }) => operation.steps?.test(step) ?? true);
}

/** Every step that a daemon announces while it repairs what a crash at `point` left. */
export async function findRepairPoints(operation: FaultOperation, point: CrashPoint): Promise<CrashPoint[]> {
  await using home = await createFaultHome();
  await crash(operation, point, home);
  await using daemon = await startDaemon(home, { nics: operation.nics });
  expect(daemon.greeting).toBe("ready");
  const points = crashPoints(daemon.steps());
  await removeAll(daemon.client);
  return points;
}

/** The operation dies with its daemon, and the next daemon repairs everything; with `repair`, a daemon before that dies over it. */
export async function tryCrash(
  operation: FaultOperation,
  point: CrashPoint,
  repair?: CrashPoint,
): Promise<void> {
  await using home = await createFaultHome();
  const bystander = await crash(operation, point, home);
  if (repair !== undefined) {
    await using dying = await startDaemon(home, { crash: repair, nics: operation.nics });
    expect(await dying.ended).toBe("SIGKILL");
    expect(dying.greeting).toBe("");
  }
  await expectRepaired(operation, home.layout, bystander);
}

/** The daemon dies as soon as the client has its answer: what was acknowledged is there. */
export async function tryCrashAfterwards(operation: FaultOperation): Promise<void> {
  await using home = await createFaultHome();
  await using daemon = await startDaemon(home, faultsOf(operation));
  const bystander = await prepare(operation, daemon.client);
  await operation.act(daemon.client);
  daemon.kill();
  await daemon.ended;
  await expectRepaired({ ...operation, between: [operation.after] }, home.layout, bystander);
}

/** Lets a daemon die at `point` of the operation, and returns the bystander that lives on. */
async function crash(operation: FaultOperation, point: CrashPoint, home: FaultHome): Promise<Vm> {
  await using daemon = await startDaemon(home, { ...faultsOf(operation), crash: point });
  const bystander = await prepare(operation, daemon.client);
  // The client says what failed, and not that something inside it broke.
  await refusal(operation.act(daemon.client), "unavailable");
  expect(await daemon.ended).toBe("SIGKILL");
  return bystander;
}

/** A fresh daemon (in this process: starting one takes longer than all the rest) tells the truth, repeats the operation, serves the VM, and can remove everything. */
async function expectRepaired(operation: FaultOperation, layout: Layout, bystander: Vm): Promise<void> {
  await using daemon = await createTestDaemon({
    home: layout.stateDir,
    templates: operation.templates ?? false,
    driver: { features: { nics: operation.nics ?? false } },
  });
  const { client } = daemon;
  expect(await findLies(layout, client)).toEqual([]);
  expect(operation.between).toContain(await find(client));
  await repeat(operation, client);
  // This daemon has other boot files, and so makes templates of its own.
  await daemon.templates.settled();
  expect(await find(client)).toBe(operation.after);
  expect(await findLies(layout, client)).toEqual([]);
  if (operation.after === "stopped") expect(await client.startVm(VM)).toMatchObject({ state: "running" });
  expect(await findLies(layout, client)).toEqual([]);
  expect(await client.showVm(BYSTANDER)).toEqual(bystander);
  await removeAll(client);
  expect(leftovers(layout)).toEqual(NOTHING);
}

function faultsOf({ failCleanups, nics, templates, pool }: FaultOperation): DaemonFaults {
  return {
    failCleanups,
    nics,
    templates: templates === true ? "8" : undefined,
    pool: pool === true ? { [IMAGE]: 1 } : undefined,
  };
}

/** Each of these steps, with how often it was announced by then. */
export function crashPoints(steps: readonly string[]): CrashPoint[] {
  return steps.map((step, at) => ({
    step,
    occurrence: steps.slice(0, at + 1).filter((other) => other === step).length,
  }));
}

async function prepare(operation: FaultOperation, client: Client): Promise<Vm> {
  await client.createVm({ name: BYSTANDER, image: IMAGE });
  await operation.prepare(client);
  return await client.showVm(BYSTANDER);
}

async function repeat(operation: FaultOperation, client: Client): Promise<void> {
  try {
    await operation.act(client);
  } catch (error) {
    if (BangerError.from(error).code !== operation.done) throw error;
  }
}

async function find(client: Client): Promise<Found> {
  const vm = (await client.listVms()).find((one) => one.name === VM);
  return vm === undefined ? "absent" : (vm.state as Found);
}

async function removeAll(client: Client): Promise<void> {
  for (const vm of await client.listVms()) await client.removeVm(vm.id, { force: true });
}
