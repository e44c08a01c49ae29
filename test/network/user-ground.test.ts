/** The namespace as an ordinary user has it: what keeps it, what works in it, and what becomes of it when either dies. */
import { test as anyTest, expect } from "bun:test";
import { existsSync } from "node:fs";
import { findByCommandLine, identifyProcess, type ProcessHandle } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { holderMarker, startHolder } from "../../src/network/user/holder.ts";
import { SITE } from "./addresses.ts";
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
