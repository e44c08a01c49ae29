/** The IPv6 half of the namespace's life: made, found again as it was made, removed; the host's own addresses and routes as before. */
import { test as anyTest, expect } from "bun:test";
import { existsSync } from "node:fs";
import { findByCommandLine } from "../../src/lib/process-identity.ts";
import type { Network } from "../../src/network/network.ts";
import { createNetPrograms } from "../../src/network/programs.ts";
import { guest6, POOL6, SITE, SITE6 } from "./addresses.ts";
import { hostState } from "./own-host.ts";
import { createWorld, NO_WORLD, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const DEATH = "the daemon dies here";

/** The IPv6 addresses and routes of this thread's host, and what there is of IPv4. */
async function wholeHost(): Promise<string> {
  const programs = createNetPrograms();
  const [routes, addresses] = await Promise.all([
    programs.ipJson(undefined, ["-6", "route", "show", "table", "all"]),
    programs.ipJson(undefined, ["-6", "addr", "show"]),
  ]);
  return JSON.stringify({ all: await hostState(), routes, addresses });
}

test("a daemon that died anywhere on the way up or down with IPv6 leaves nothing that the next one keeps", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const before = await wholeHost();
  const steps: string[] = [];
  const useOnce = async (network: Network): Promise<void> => {
    await network.attach(vmOf(ONE, { mode: "full" }));
    await network.detach(vmOf(ONE, {}).id);
    await network.down();
  };
  await useOnce(world.createService({ onStep: (step) => void steps.push(step) }).network);
  expect(await wholeHost()).toBe(before);
  for (const step of new Set(steps)) {
    const dying = world.createService({
      onStep: (name) => {
        if (name === step) throw new Error(DEATH);
      },
    });
    await useOnce(dying.network).catch((error: unknown) => expect(String(error)).toContain(DEATH));
    dying.network[Symbol.dispose]();
    const next = world.createService();
    await next.network.recover([]);
    expect(existsSync(next.plan.netnsPath)).toBe(false);
    expect(findByCommandLine(next.plan.netnsPath)).toEqual([]);
    expect(await wholeHost()).toBe(before);
  }
});

test("a namespace keeps the IPv6 pool that it was made with until its last VM has stopped", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest(ONE, { mode: "public" });
  await world.service.network.close();
  const later = world.createService({ pool6: "fd30:6::/64" });
  await later.network.recover([vmOf(ONE, { mode: "public" })]);
  expect(later.network.attachment(guest.id)?.vm.address6).toBe(guest6(2));
  expect(later.problem6()).toContain("network.pool6 is fd30:6::/64 by now");
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(true);
  expect(await later.check(vmOf(ONE, { mode: "public" }), `[${guest6(9)}]:80`)).toMatchObject({
    rule: "address pool: no such guest",
  });
  await later.network.detach(guest.id);
  await later.network.down();
  expect(later.problem6()).toBeUndefined();
  const { vm } = await later.network.attach(vmOf(ONE, {}));
  expect(vm.address6).toBe("fd30:6::ac1e:502");
  await later.network.detach(vm.id);
  await later.network.down();
});

test("on a host without IPv6 guests have it among themselves, and no way out over it", async () => {
  await using world = await createWorld({ pool6: POOL6 }, { ipv6: false });
  const one = await world.guest(ONE, { mode: "full", peers: true });
  await world.guest("172.30.5.3", { mode: "full", peers: true });
  expect(await one.reaches(guest6(3), "tcp", 80)).toBe(true);
  expect(await one.reaches(SITE6, "tcp", 80)).toBe(false);
  expect(await one.reaches(SITE, "tcp", 80)).toBe(true);
  expect(world.problems).toEqual([]);
});

test("an IPv6 pool that the host uses itself is refused", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  await world.guest(ONE);
  const { hostLink } = world.service.plan;
  const beside = world.createService({ stateDir: `/world/${world.id}/beside`, pool: "172.30.6.0/24" });
  expect(() => beside.checkPool()).toThrow(
    `the address pool ${POOL6} overlaps the host's route over ${hostLink}`,
  );
  expect(() => world.service.checkPool()).not.toThrow();
});
