/** The namespace as an ordinary user has it: what keeps it, what works in it, and what becomes of it when either dies. */
import { test as anyTest, expect } from "bun:test";
import { existsSync } from "node:fs";
import { findByCommandLine, identifyProcess, type ProcessHandle } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import type { NetworkReport } from "../../src/model/network-report.ts";
import { checkNetwork, reportNetwork } from "../../src/network/report.ts";
import { holderMarker, startHolder } from "../../src/network/user/holder.ts";
import { POOL, SITE } from "./addresses.ts";
import { hostState } from "./own-host.ts";
import { workersIn } from "./workers.ts";
import { createWorld, NO_WORLD, vmOf, type World } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const TWO = "172.30.5.3";
const USER = { owner: "user" } as const;

test("a user's network changes nothing of the host's own, and nothing of it is left when it is taken down", async () => {
  await using world = await createWorld({}, USER);
  const before = await hostState();
  const guest = await world.guest(ONE, { mode: "public" });
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  expect(await guest.resolve("good.test")).toEqual([SITE]);
  expect(JSON.parse(await hostState())).toMatchObject({ links: JSON.parse(before).links });
  expect(world.service.routeTo(guest.id)).toBeUndefined();
  expect(holders(world)).toHaveLength(1);
  const worker = workerOf(world);
  await world.service.network.detach(guest.id);
  await world.service.network.down();
  expect(holders(world)).toEqual([]);
  expect(identifyProcess(worker.pid)).toBeUndefined();
  expect(findByCommandLine(world.service.plan.netnsPath)).toEqual([]);
  expect(existsSync(world.service.plan.netnsPath)).toBe(false);
  expect(await hostState()).toBe(before);
  expect(world.problems).toEqual([]);
});

test("what a guest is refused is told, and so is a name that points inside", async () => {
  const told: string[] = [];
  const refused = Promise.withResolvers<void>();
  const onBlocked = (_: string, message: string): void => {
    told.push(message);
    if (message === `tcp to ${SITE}:80 was refused`) refused.resolve();
  };
  await using world = await createWorld({ onBlocked }, USER);
  const guest = await world.guest(ONE, { mode: "allow", allow: ["rebind.test"] });
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(false);
  expect(await guest.resolve("rebind.test")).toBe(5);
  expect(told.some((message) => message.startsWith("rebind.test was not answered"))).toBe(true);
  // The kernel tells of packets on its own time.
  await refused.promise;
});

test("the process in the namespace is started anew when it dies, and answers names again", async () => {
  await using world = await createWorld({}, USER);
  const guest = await world.guest(ONE, { mode: "public" });
  expect(await guest.resolve("good.test")).toEqual([SITE]);
  await kill(workerOf(world));
  // Rules and taps are the kernel's.
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  await world.service.network.attach(vmOf(TWO, {}));
  expect(await guest.resolve("good.test")).toEqual([SITE]);
  expect(world.problems.some((problem) => problem.startsWith("the process in the namespace"))).toBe(true);
  await world.service.network.detach(vmOf(TWO, {}).id);
});

test("a namespace whose keeper died is made anew for the next guest", async () => {
  await using world = await createWorld({}, USER);
  await world.service.network.attach(vmOf(ONE, {}));
  const [holder] = holders(world);
  await kill(holder);
  await world.service.network.attach(vmOf(TWO, {}));
  expect(world.service.network.attachment(vmOf(ONE, {}).id)).toBeUndefined();
  expect(world.service.network.attachment(vmOf(TWO, {}).id)).toBeDefined();
  expect(holders(world)).toHaveLength(1);
  expect(holders(world)).not.toEqual(holder === undefined ? [] : [holder]);
  await world.service.network.detach(vmOf(TWO, {}).id);
});

test("network show and doctor tell of a user's namespace what is so: not made yet, kept, lost, and made anew", async () => {
  await using world = await createWorld({}, USER);
  const { service } = world;
  const names = [ONE, TWO].map((address) => ({ id: vmOf(address, {}).id, name: address }));
  const show = async (): Promise<NetworkReport> => await reportNetwork(service, names);
  const warnings = async (): Promise<unknown[]> =>
    (await checkNetwork(service)()).rows.filter(({ verdict }) => verdict !== "pass");
  const { netnsPath } = service.plan;
  const why = expect.stringContaining("no link to the host");
  const always = { kind: "namespace", why, namespace: netnsPath, uplink: "pasta", pool: POOL };

  const first = await show();
  expect(first).toMatchObject({ ...always, up: false, readyTaps: 0, vms: [] });
  for (const key of ["keeper", "lost", "hostLink", "cure"]) expect(first).not.toHaveProperty(key);

  await service.network.attach(vmOf(ONE, { mode: "full" }));
  const [holder] = holders(world);
  const up = await show();
  expect(up).toMatchObject({ ...always, up: true, keeper: holder?.pid });
  expect(up.vms).toMatchObject([{ name: ONE, address: ONE, mode: "full" }]);
  expect(up).not.toHaveProperty("lost");
  expect(await warnings()).toEqual([]);

  await kill(holder);
  const lost = await show();
  expect(lost).toMatchObject({ ...always, up: false, lost: expect.stringContaining("banger restart NAME") });
  expect(lost).not.toHaveProperty("keeper");
  expect(await warnings()).toMatchObject([
    { check: "network", message: expect.stringContaining("removed from outside") },
  ]);

  await service.network.attach(vmOf(TWO, {}));
  expect(await show()).toMatchObject({ ...always, up: true, keeper: holders(world)[0]?.pid });
  expect(await warnings()).toEqual([]);
  await service.network.detach(vmOf(TWO, {}).id);
});

test("a user without cards is shown the reason and the cure, and no link that is root's", async () => {
  const refused = { why: "the hypervisor opens taps by itself", cure: "run banger as root" };
  await using world = await createWorld(
    { nicsRefused: async () => refused, channelRefused: async () => undefined },
    USER,
  );
  const report = await reportNetwork(world.service, []);
  expect(report).toMatchObject({ kind: "channel", ...refused, up: false, uplink: "the daemon" });
  expect(report).toMatchObject({ namespace: world.service.plan.netnsPath });
  for (const key of ["keeper", "lost", "hostLink"]) expect(report).not.toHaveProperty(key);
  const { rows } = await checkNetwork(world.service)();
  expect(rows).toMatchObject([{ check: "network", verdict: "warn", cure: refused.cure }]);
});

test("a keeper whose daemon died before anything else was made is ended by the next one", async () => {
  await using world = await createWorld({}, USER);
  const holder = await startHolder(holderMarker(world.service.plan.netnsPath));
  expect(holders(world)).toEqual([holder]);
  await world.service.network.recover([]);
  expect(holders(world)).toEqual([]);
  expect(identifyProcess(holder.pid)).toBeUndefined();
  expect(existsSync(world.service.plan.netnsPath)).toBe(false);
});

test("two homes of a user have a namespace each", async () => {
  await using one = await createWorld({}, USER);
  await using two = await createWorld({}, USER);
  expect(holderMarker(one.service.plan.netnsPath)).not.toBe(holderMarker(two.service.plan.netnsPath));
  expect(holderMarker(one.service.plan.netnsPath)).toMatch(/^1\d{15}$/);
});

function holders(world: World): readonly ProcessHandle[] {
  return findByCommandLine(holderMarker(world.service.plan.netnsPath));
}

/** The process that the daemon has in the namespace. */
function workerOf(world: World): ProcessHandle {
  const [holder] = holders(world);
  const [found] = workersIn(holder);
  if (found === undefined) throw new Error("nobody works in the namespace");
  return found;
}

async function kill(handle: ProcessHandle | undefined): Promise<void> {
  const watch = handle === undefined ? undefined : await watchProcess(handle);
  if (watch?.signal("SIGKILL") !== true) throw new Error("there is nothing to kill");
  await watch.ended;
}
