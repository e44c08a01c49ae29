/**
 * An ordinary user's daemon is killed at every step of the network in the lives of a VM, from the making of the namespace to its removal:
 * the next one tells the truth, gives its VMs a network, and leaves no keeper, uplink, listener, tap or process when it is taken down.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "../../src/sdk/client.ts";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { createOrdinaryUser, NO_USER, ORDINARY_UID, type OrdinaryUser } from "../support/ordinary-user.ts";
import { refusal } from "../support/refusal.ts";
import { keepersOf, userNetworkRemains, workersEnded } from "../support/user-network.ts";
import { crashPoints } from "./crash-points.ts";
import { createFaultHome, type DaemonProcess, type FaultHome, startDaemon } from "./daemon-process.ts";
import type { CrashPoint } from "./daemon-program.ts";
import { VM, WISH } from "./operation.ts";
import { findLies, leftovers, listeningPorts, NOTHING } from "./truth.ts";

/** Those of others have tests of their own. */
const STEPS = /^(network|ports|set):|^cleanup:(network|ports)$/;
/** Steps that there must be, or the suite was blind. */
const KNOWN = [
  "up",
  "namespace",
  "ready",
  "uplink",
  "tap",
  "rules",
  "policy",
  "detach",
  "down",
  "remove",
].map((step) => `network:${step}`);
const PORT = { address: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp" } as const;

/** The points are dealt out to so many tests. */
const PARTS = 3;

let undo: AsyncDisposableStack;
let user: OrdinaryUser;
let points: readonly CrashPoint[];

beforeAll(async () => {
  undo = new AsyncDisposableStack();
  if (NO_USER !== undefined) return;
  undo.use(await createOwnHost({ nameservers: [] }));
  user = undo.use(await createOrdinaryUser());
  points = await findPoints();
});
afterAll(async () => await undo.disposeAsync());

test.skipIf(NO_USER !== undefined)(
  "a life on an ordinary user's network has the steps that it must have",
  () => {
    const steps = points.map(({ step }) => step);
    console.log(`network of an ordinary user: the daemon is killed at ${points.length} points`);
    expect(KNOWN.filter((step) => !steps.includes(step))).toEqual([]);
  },
);

test.skipIf(NO_USER !== undefined).each([...Array(PARTS).keys()])(
  "an ordinary user's daemon is killed at each step of its network, and nothing leaks (%i)",
  async (part) => {
    const before = await hostState();
    for (const point of points.filter((_, at) => at % PARTS === part)) {
      await tryCrash(point).catch((error: unknown) => {
        throw new Error(`killed at ${JSON.stringify(point)}: ${String(error)}`, { cause: error });
      });
    }
    expect(await hostState()).toBe(before);
  },
);

/** All that becomes of a VM on the network, and of the network. */
async function live(client: Client): Promise<void> {
  await client.createVm({ ...WISH, ports: [PORT] });
  await client.setVm(VM, { network: { mode: "allow", allow: ["203.0.113.0/24:80"] } });
  const { spec } = await client.setVm(VM, { publish: [PORT] });
  const unpublish = (spec.ports ?? []).slice(0, 1).map(({ hostPort, protocol }) => ({ hostPort, protocol }));
  await client.setVm(VM, { unpublish });
  await client.removeVm(VM, { force: true });
  await client.takeNetworkDown();
}

async function findPoints(): Promise<CrashPoint[]> {
  await using home = await createFaultHome(undefined, ORDINARY_UID);
  await using daemon = await startDaemon(home, { nics: true, user });
  await live(daemon.client);
  return crashPoints(daemon.steps()).filter(({ step }) => STEPS.test(step));
}

async function tryCrash(point: CrashPoint): Promise<void> {
  await using home = await createFaultHome(undefined, ORDINARY_UID);
  const { stateDir } = home.layout;
  await crash(home, point);
  await using next = await startDaemon(home, { nics: true, user });
  expect(next.greeting).toBe("ready");
  expect(await findLies(home.layout, next.client)).toEqual([]);
  await expectNetwork(next, stateDir);
  for (const vm of await next.client.listVms()) await next.client.removeVm(vm.id, { force: true });
  await next.client.takeNetworkDown();
  expect(leftovers(home.layout)).toEqual(NOTHING);
  expect([...listeningPorts("127.0.0.1")]).toEqual([]);
  expect(await userNetworkRemains(stateDir)).toEqual([]);
}

/** The daemon dies at `point` of a VM's life, and what it had in the namespace with it. */
async function crash(home: FaultHome, point: CrashPoint): Promise<void> {
  await using daemon = await startDaemon(home, { nics: true, user, crash: point });
  await refusal(live(daemon.client), "unavailable");
  expect(await daemon.ended).toBe("SIGKILL");
  await workersEnded(home.layout.stateDir);
  // Nothing that outlives it has its listeners.
  expect([...listeningPorts("127.0.0.1")]).toEqual([]);
}

/** A VM that starts now is on the network. */
async function expectNetwork({ client }: DaemonProcess, stateDir: string): Promise<void> {
  const { id } = await client.createVm({ ...WISH, name: "later", ports: [PORT] });
  const report = await client.showNetwork();
  expect(report).toMatchObject({ kind: "namespace", up: true, uplink: "pasta" });
  expect(report.vms.map((vm) => vm.id)).toContain(id);
  expect(keepersOf(stateDir)).toHaveLength(1);
}
