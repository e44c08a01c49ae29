/** The namespace's own life: made when needed, found again, repaired, removed; and the host as it was before. */
import { test as anyTest, expect } from "bun:test";
import { existsSync } from "node:fs";
import { inNetns } from "../../src/lib/netns.ts";
import { findByCommandLine } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { BangerError } from "../../src/model/errors.ts";
import { listDevices } from "../../src/network/host-facts.ts";
import type { Network } from "../../src/network/network.ts";
import { createRootGround } from "../../src/network/root-ground.ts";
import { holderMarker } from "../../src/network/user/holder.ts";
import { differences, hostTables } from "../support/host-tables.ts";
import { HOST, SITE } from "./addresses.ts";
import { hostState } from "./own-host.ts";
import { createWorld, NO_WORLD, OWNERS, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const TWO = "172.30.5.3";

test("the machine's own rules, routes, links and processes are the same before and after", async () => {
  const before = await hostTables();
  let inside: string;
  {
    await using world = await createWorld();
    const untouched = await hostState();
    await world.guest(ONE, { mode: "full" });
    const used = await hostState();
    // The world's host got a link and the routes over it, and not one rule.
    expect(JSON.parse(used).ruleset).toEqual(JSON.parse(untouched).ruleset);
    expect(JSON.parse(used).rules).toEqual(JSON.parse(untouched).rules);
    expect(JSON.parse(used).links).toEqual([...JSON.parse(untouched).links, world.service.plan.hostLink]);
    inside = world.service.plan.netnsPath;
    await world.service.network.detach(vmOf(ONE, {}).id);
    await world.service.network.down();
    expect(await hostState()).toBe(untouched);
  }
  // Links of other daemons of banger on this machine come and go.
  expect(differences(before, await hostTables())).toEqual([]);
  expect(existsSync(inside)).toBe(false);
  expect(findByCommandLine(inside)).toEqual([]);
});

test("another daemon finds the network, its VMs and its rules, and removes what nobody uses", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  await world.guest(TWO, { mode: "full" });
  await world.service.network.close();
  const later = world.createService();
  // The record says `none` by now: the daemon died between the record and the rules.
  await later.network.recover([vmOf(ONE, { mode: "none" })]);
  expect(later.network.attachment(vmOf(ONE, {}).id)?.vm.policy.mode).toBe("none");
  expect(later.network.attachment(vmOf(TWO, {}).id)).toBeUndefined();
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(false);
  await later.network.change(vmOf(ONE, { mode: "public" }));
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  expect(await guest.resolve("good.test")).toEqual([SITE]);
  expect(findByCommandLine(later.plan.netnsPath)).toHaveLength(1);
  await later.network.detach(vmOf(ONE, {}).id);
  await later.network.down();
  expect(existsSync(later.plan.netnsPath)).toBe(false);
  const again = world.createService();
  await again.network.recover([vmOf(ONE, {})]);
  expect(again.network.up).toBe(false);
});

test.each(OWNERS)(
  "a daemon of %s that died anywhere on the way up or down leaves nothing that the next one keeps",
  async (owner) => {
    await using world = await createWorld({}, { owner });
    const before = await hostState();
    const steps: string[] = [];
    const useOnce = async (network: Network): Promise<void> => {
      await network.attach(vmOf(ONE, { mode: "full" }));
      await network.detach(vmOf(ONE, {}).id);
      await network.down();
    };
    const clean = world.createService({ onStep: (step) => void steps.push(step) });
    await useOnce(clean.network);
    expect(steps).toContain("network:rules");
    expect(steps).toContain("network:down");
    for (const step of new Set(steps)) {
      const dying = world.createService({ onStep: (name) => void (name === step && die()) });
      await useOnce(dying.network).catch(expectDeath);
      dying.network[Symbol.dispose]();
      const next = world.createService();
      await next.network.recover([]);
      expect(existsSync(next.plan.netnsPath)).toBe(false);
      expect(findByCommandLine(next.plan.netnsPath)).toEqual([]);
      expect(findByCommandLine(holderMarker(next.plan.netnsPath))).toEqual([]);
      expect(await hostState()).toBe(before);
    }
  },
);

test("a change of policy that is cut off leaves the old one or the new one", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  world.service.network[Symbol.dispose]();
  const dying = world.createService({ onStep: (name) => void (name === "network:policy" && die()) });
  await dying.network.recover([vmOf(ONE, { mode: "public" })]);
  await dying.network.change(vmOf(ONE, { mode: "full" })).catch(expectDeath);
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  expect(await guest.reaches(HOST, "tcp", 80)).toBe(false);
  await dying.network.detach(guest.id);
  await dying.network.down();
});

test("an uplink that dies is started anew, and a removed namespace is made anew", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  const [pasta] = findByCommandLine(world.service.plan.netnsPath);
  const watch = pasta === undefined ? undefined : await watchProcess(pasta);
  watch?.signal("SIGKILL");
  await watch?.ended;
  await world.service.network.attach(vmOf(TWO, {}));
  expect(findByCommandLine(world.service.plan.netnsPath)).toHaveLength(1);
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  await world.programs.ip(undefined, [`netns del ${world.service.plan.name}`]);
  await world.service.network.attach(vmOf("172.30.5.4", {}));
  expect(world.service.network.attachment(guest.id)).toBeUndefined();
  await world.service.network.detach(vmOf("172.30.5.4", {}).id);
});

test("a namespace whose uplink cannot start is not left behind, and the next VM makes another", async () => {
  await using world = await createWorld();
  const before = await hostState();
  let refused = true;
  const service = world.createService({
    ground: (plan) => {
      const ground = createRootGround(plan, world.programs);
      return {
        ...ground,
        uplinkArguments: () => (refused ? ["--no-such-option"] : ground.uplinkArguments()),
      };
    },
  });
  const attach = async (): Promise<unknown> => await service.network.attach(vmOf(ONE, {}));
  expect(BangerError.from(await attach().catch((error: unknown) => error)).message).toContain("pasta");
  expect([service.network.up, existsSync(service.plan.netnsPath), await hostState()]).toEqual([
    false,
    false,
    before,
  ]);
  refused = false;
  await attach();
  expect(findByCommandLine(service.plan.netnsPath)).toHaveLength(1);
  await service.network.detach(vmOf(ONE, {}).id);
  await service.network.down();
});

test("a network with VMs is not taken down, and one without VMs is", async () => {
  await using world = await createWorld();
  await world.guest(ONE);
  const refusal = await world.service.network.down().catch((error: unknown) => BangerError.from(error));
  expect(refusal).toMatchObject({ code: "failed_precondition" });
  await world.service.network.detach(vmOf(ONE, {}).id);
  await world.service.network.down();
  await world.service.network.down();
});

test("a chosen pool that the host uses is refused, and the default one only loses the host's way in", async () => {
  await using world = await createWorld({ pool: "198.51.100.0/24" });
  expect(world.service.clash()).toContain("eth0");
  expect(() => world.service.checkPool()).not.toThrow();
  const chosen = world.createService({ poolIsChosen: true });
  expect(() => chosen.checkPool()).toThrow("overlaps the host's route over eth0");
});

test("a pool that another network of banger has is refused when it was chosen, and else guests keep their way out", async () => {
  await using world = await createWorld();
  await world.guest(ONE, { mode: "public" });
  const { hostLink } = world.service.plan;
  const beside = world.createService({ stateDir: `/world/${world.id}/beside` });
  expect(beside.clash()).toBe(`the host's route over ${hostLink}`);
  const chosen = world.createService({ stateDir: `/world/${world.id}/beside`, poolIsChosen: true });
  expect(() => chosen.checkPool()).toThrow(`overlaps the host's route over ${hostLink}`);
  const vm = vmOf(TWO, { mode: "public" });
  const before = await hostState();
  await beside.network.attach(vm);
  expect(await beside.check(vm, `${SITE}:80`)).toMatchObject({ verdict: "allow" });
  expect(beside.routeTo(vm.id)).toBeUndefined();
  await beside.network.detach(vm.id);
  await beside.network.down();
  expect(await hostState()).toBe(before);
});

test("a guest whose network had no route is not looked for elsewhere when the other network has gone", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  expect(world.service.routeTo(guest.id)).toBe(ONE);
  const beside = world.createService({ stateDir: `/world/${world.id}/beside` });
  const vm = { ...vmOf(TWO, { mode: "public" }), id: "beside000001" };
  await beside.network.attach(vm);
  await world.service.network.detach(guest.id);
  await world.service.network.down();
  // The host's default route would take it to a stranger.
  expect(beside.clash()).toBeUndefined();
  expect(beside.routeTo(vm.id)).toBeUndefined();
  await beside.network.detach(vm.id);
  await beside.network.down();
  await beside.network.attach(vm);
  expect(beside.routeTo(vm.id)).toBe(TWO);
  await beside.network.detach(vm.id);
  await beside.network.down();
});

test("a start waits for no tap, and 200 VMs cost no more each than two", async () => {
  await using world = await createWorld({ tapPoolSize: 4, pool: "172.30.0.0/16" });
  const { network } = world.service;
  const cost = async (address: string): Promise<{ attach: number; change: number }> => {
    const begin = performance.now();
    await network.attach(vmOf(address, { mode: "allow", allow: ["203.0.113.0/24:80"] }));
    const attached = performance.now();
    await network.change(vmOf(address, { mode: "public" }));
    return { attach: attached - begin, change: performance.now() - attached };
  };
  const median = async (third: number): Promise<{ attach: number; change: number }> => {
    const all: { readonly attach: number; readonly change: number }[] = [];
    for (let at = 2; at < 13; at += 1) {
      all.push(await cost(`172.30.${third}.${at}`));
      await network.settled();
    }
    const middle = (key: "attach" | "change"): number =>
      all.map((one) => one[key]).toSorted((a, b) => a - b)[5] ?? 0;
    return { attach: middle("attach"), change: middle("change") };
  };
  const few = await median(1);
  for (let at = 2; at < 202; at += 1)
    await network.attach(vmOf(`172.30.2.${at}`, { mode: "allow", allow: ["203.0.113.0/24:80"] }));
  await network.settled();
  const many = await median(3);
  const show = ({ attach, change }: typeof few): string =>
    `attach ${attach.toFixed(2)} ms, policy ${change.toFixed(2)} ms`;
  console.log(`with few VMs: ${show(few)}; with 200: ${show(many)}`);
  // What grows with their number would be a hundred times as much.
  expect(many.change).toBeLessThanOrEqual(10 * few.change + 20);
  const devices = inNetns(world.service.plan.netnsPath, listDevices);
  expect([...devices].filter((name) => name.startsWith("tap")).length).toBe(222 + network.readyTaps);
  for (const third of [1, 2, 3]) {
    for (let at = 2; at < 202; at += 1) await network.detach(vmOf(`172.30.${third}.${at}`, {}).id);
  }
});

const DEATH = "the daemon dies here";

function die(): never {
  throw new Error(DEATH);
}

function expectDeath(error: unknown): void {
  expect(String(error)).toContain(DEATH);
}
