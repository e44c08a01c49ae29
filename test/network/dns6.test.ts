/** Names over IPv6: what guests are told of AAAA records, what such an answer opens, and what is kept from them. */
import { test as anyTest, expect } from "bun:test";
import { guest6, OTHER_SITE6, POOL6, PRIVATE_HOST6, SITE, SITE6 } from "./addresses.ts";
import { createWorld, NO_WORLD, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const REFUSED = 5;
const NO_NAME = 3;

test("AAAA records are answered as the policy goes, and those that point inside are kept", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest(ONE, { mode: "public" });
  const answers = async (): Promise<Record<string, readonly string[] | number>> =>
    Object.fromEntries(
      await Promise.all(
        ["both.test", "good.test", "rebind6.test", "cloud6.test", "no.test", "web.vm", "no.vm"].map(
          async (name) => [name, await guest.resolve(name, "AAAA")] as const,
        ),
      ),
    );
  const zone = { "web.vm": [guest6(2)], "no.vm": NO_NAME };
  const inside = { "rebind6.test": REFUSED, "cloud6.test": REFUSED };
  const open = { "both.test": [SITE6], "good.test": [], "no.test": NO_NAME };
  expect(await answers()).toEqual({ ...open, ...inside, ...zone });
  expect(await guest.resolve("both.test")).toEqual([SITE]);
  await world.set(guest, { mode: "full" });
  expect(await answers()).toMatchObject({ ...open, "rebind6.test": [PRIVATE_HOST6], ...zone });
  await world.set(guest, { mode: "allow", allow: ["both.test", "rebind6.test"] });
  expect(await answers()).toEqual({
    "both.test": [SITE6],
    "good.test": REFUSED,
    "no.test": REFUSED,
    ...inside,
    ...zone,
  });
  expect(
    world.blocked.some(
      ({ message }) => message === `rebind6.test was not answered: ${PRIVATE_HOST6}: unique local addresses`,
    ),
  ).toBe(true);
});

test("a name that is allowed opens its IPv6 addresses, on its ports only, until the policy is another one", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const network = { mode: "allow", allow: ["six.test:80/tcp"] } as const;
  const guest = await world.guest(ONE, network);
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(false);
  expect(await guest.resolve("six.test", "AAAA")).toEqual([SITE6]);
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(true);
  expect(await guest.reaches(SITE6, "tcp", 81)).toBe(false);
  expect(await guest.reaches(SITE6, "udp", 80)).toBe(false);
  expect(await guest.reaches(OTHER_SITE6, "tcp", 80)).toBe(false);
  const vm = vmOf(ONE, network);
  expect(await world.service.check(vm, "six.test:80")).toMatchObject({
    verdict: "allow",
    rule: "--allow six.test:80/tcp",
    addresses: [{ address: SITE6 }],
  });
  expect(await world.service.check(vm, "six.test:81")).toMatchObject({ verdict: "deny" });
  await world.set(guest, { mode: "allow", allow: ["good.test"] });
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(false);
});

test("a packet that is refused is told of under its guest", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest(ONE, { mode: "public" });
  const told = Promise.withResolvers<void>();
  const push = world.blocked.push.bind(world.blocked);
  world.blocked.push = (...items) => {
    told.resolve();
    return push(...items);
  };
  expect(await guest.reaches(PRIVATE_HOST6, "tcp", 80)).toBe(false);
  await told.promise;
  expect(world.blocked).toEqual([{ id: guest.id, message: `tcp to [${PRIVATE_HOST6}]:80 was refused` }]);
});

test("without a pool for it no name has an IPv6 address", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  expect(await guest.resolve("both.test", "AAAA")).toEqual([]);
  expect(await guest.resolve("both.test")).toEqual([SITE]);
  expect(await guest.resolve("web.vm", "AAAA")).toEqual([]);
  expect(await world.service.check(vmOf(ONE, {}), `[${SITE6}]:80`)).toMatchObject({
    verdict: "deny",
    rule: "guests have no IPv6",
  });
});
