/** The network: what it adds to a start, what a VM more and another policy cost, and how long names take. As root. */
import { join } from "node:path";
import { inNetns } from "../src/lib/netns.ts";
import type { Network } from "../src/network/network.ts";
import type { Vm } from "../src/sdk/index.ts";
import { createWorld, NO_WORLD, vmOf } from "../test/network/world.ts";
import { createRealHome, type RealHome } from "../test/support/real-home.ts";
import { templateMade } from "../test/support/template-made.ts";
import { bareArgv } from "./bare-qemu.ts";
import { countBootWork } from "./boot-work.ts";
import { differenceRow, limitRow, type Row, ratioRow, type Sample, summarise } from "./stats.ts";
import { must, ROOT, spawn, timed } from "./tools.ts";

const COLD = 9;
const WARM = 25;
const QUESTIONS = 2_000;
const ROUNDS = 31;
const MANY = 200;
const SHAPE = ["--memory", "256M"] as const;

/** `binary`: the built program. */
export async function benchNetwork(binary: string, scratch: string): Promise<Row[]> {
  if (NO_WORLD !== undefined) throw new Error(`this host has no networks for guests: ${NO_WORLD}`);
  const { rows, attachMs } = await benchPlan();
  return [
    ...rows,
    ...(await benchNames()),
    ...(await benchStarts(binary)),
    ...(await benchBootWork({ attachMs, scratch })),
  ];
}

/** A VM more, and another policy, among few and among many. */
async function benchPlan(): Promise<{ readonly rows: Row[]; readonly attachMs: number }> {
  await using world = await createWorld({ tapPoolSize: 4, pool: "172.30.0.0/16" });
  const { network } = world.service;
  const few = await attachAndChange(network, 1);
  for (let at = 2; at < 2 + MANY; at += 1) await network.attach(vmOf(`172.30.2.${at}`, CLOSED));
  await network.settled();
  const many = await attachAndChange(network, 3);
  for (let at = 2; at < 2 + MANY; at += 1) await network.detach(vmOf(`172.30.2.${at}`, {}).id);
  const rows = [
    ratioRow(`a VM more in a plan with ${MANY} / with 2`, many.attach, few.attach, 1.2),
    limitRow(`another policy in a plan with ${MANY}, ms`, many.change.medianMs, { most: 20 }),
  ];
  return { rows, attachMs: few.attach.medianMs };
}

const CLOSED = { mode: "allow", allow: ["203.0.113.0/24:80"] } as const;

/** Two VMs are there beside the one that comes and goes. */
async function attachAndChange(
  network: Network,
  third: number,
): Promise<{ readonly attach: Sample; readonly change: Sample }> {
  const [attach, change]: [number[], number[]] = [[], []];
  const others = [2, 3].map((at) => vmOf(`172.30.${third}.${at}`, CLOSED));
  for (const vm of others) await network.attach(vm);
  for (let at = 0; at < ROUNDS; at += 1) {
    const address = `172.30.${third}.${10 + at}`;
    await network.settled();
    attach.push(await timed(() => network.attach(vmOf(address, CLOSED))));
    change.push(await timed(() => network.change(vmOf(address, { mode: "public" }))));
    await network.detach(vmOf(address, {}).id);
  }
  for (const { id } of others) await network.detach(id);
  return { attach: summarise(attach), change: summarise(change) };
}

/** A guest asks, from a process of its own, for names of guests and for names of the internet; its server answers in this process. */
async function benchNames(): Promise<Row[]> {
  await using world = await createWorld();
  const guest = await world.guest("172.30.5.2", { mode: "allow", allow: ["good.test:80", "*.wild.test"] });
  const ask = async (...names: readonly string[]): Promise<number> => {
    const argv = [process.execPath, join(ROOT, "bench/dns-client.ts"), world.service.plan.gateway];
    const child = inNetns(guest.netns, () =>
      Bun.spawn([...argv, String(QUESTIONS), ...names], { stdout: "pipe", stderr: "inherit" }),
    );
    const times = (JSON.parse(await child.stdout.text()) as number[]).toSorted((a, b) => a - b);
    return times[Math.floor(times.length * 0.99)] ?? Number.NaN;
  };
  await ask("web.vm", "good.test");
  return [
    limitRow("a guest's name at 500 questions a second, p99, ms", await ask("web.vm"), { most: 2 }),
    limitRow("an allowed name of the internet, the same, p99, ms", await ask("good.test", "a.wild.test"), {
      most: 2,
    }),
  ];
}

/** The same start of a daemon that may make networks, of one that goes over the agent's channel, and of one that may do neither, in turns. */
async function benchStarts(binary: string): Promise<Row[]> {
  await using withCards = await createRealHome({ templates: true });
  await using overChannel = await createRealHome({
    templates: true,
    env: { BANGER_NETWORK_MODE: "channel" },
  });
  const env = { BANGER_NETWORK_MODE: "namespace" };
  await using without = await createRealHome({ templates: true, env });
  const confined = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
  const words = Object.entries({ ...env, BANGER_HOME: without.home }).map(
    ([name, value]) => `${name}=${value}`,
  );
  await spawn([...confined, "env", ...words, binary, "daemon", "start"]);
  const homes = [withCards, overChannel, without] as const;
  await expectKind(withCards, "namespace");
  await expectKind(overChannel, "channel");
  await expectKind(without, "none");
  // One VM keeps the namespace, as it is after a first start.
  for (const home of homes) {
    const made = templateMade(home.home);
    await must(home, ["run", "-d", "-q", "--name", "other", ...SHAPE]);
    await made;
    await must(home, ["run", "--rm", "-q", ...SHAPE, "--", "true"]);
  }
  const rows = [...(await compareStarts(homes, COLD, ["--cold"])), ...(await compareStarts(homes, WARM, []))];
  for (const home of homes) await must(home, ["template", "prune"]);
  return rows;
}

/** What a card costs a cold start: the host's attaching, and the share of the boot that the guest spends on it. */
async function benchBootWork(options: {
  readonly attachMs: number;
  readonly scratch: string;
}): Promise<Row[]> {
  await using home = await createRealHome();
  const { stdout } = await must(home, ["run", "-d", "--name", "counted", "--json", ...SHAPE]);
  const { pid = 0, address } = JSON.parse(stdout) as Vm;
  const argv = bareArgv(pid);
  const mac = /"mac":"([0-9a-f:]+)"/.exec(argv.join(" "))?.[1] ?? "";
  const card = { mac, address, gateway: address.replace(/\d+$/, "1") };
  const work = await countBootWork(argv, { card, scratch: options.scratch });
  await must(home, ["rm", "-f", "counted"]);
  const cold = summarise(
    await inTurn(COLD, () => timed(() => must(home, ["run", "--rm", "-q", ...SHAPE, "--", "true"]))),
  );
  const share = work.withCard / work.without - 1;
  const boot = `run --rm -- true, cold (${cold.medianMs.toFixed(0)} ms): `;
  return [
    limitRow(`${boot}a card's share of the guest's instructions, %`, share * 100, {}),
    limitRow(
      `${boot}so much of it for a card, with the host's ${options.attachMs.toFixed(1)} ms, ms`,
      share * cold.medianMs + options.attachMs,
      { most: 10 },
    ),
  ];
}

async function inTurn(rounds: number, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < rounds; at += 1) times.push(await measure());
  return times;
}

async function expectKind(home: RealHome, kind: string): Promise<void> {
  const shown = JSON.parse((await must(home, ["network", "show", "--json"])).stdout) as { kind: string };
  if (shown.kind !== kind) throw new Error(`the network of ${home.home} is ${shown.kind}, not ${kind}`);
}

async function compareStarts(
  homes: readonly [withCards: RealHome, overChannel: RealHome, without: RealHome],
  rounds: number,
  flags: readonly string[],
): Promise<Row[]> {
  const times: [number[], number[], number[]] = [[], [], []];
  for (let at = 0; at < rounds; at += 1) {
    // None always goes second.
    for (let turn = 0; turn < homes.length; turn += 1) {
      const which = (at + turn) % homes.length;
      const home = homes[which] ?? homes[0];
      times[which]?.push(
        await timed(() => must(home, ["run", "--rm", "-q", ...SHAPE, ...flags, "--", "true"])),
      );
    }
    const last = times.map((each) => `${each.at(-1)?.toFixed(0)} ms`);
    process.stderr.write(
      `start ${at + 1}/${rounds}: with a network, over the channel, without: ${last.join(", ")}\n`,
    );
  }
  const [cards, channel, bare] = times.map(summarise);
  if (cards === undefined || channel === undefined || bare === undefined) return [];
  const title = `run --rm -- true, ${flags.length === 0 ? "warm" : "cold"}`;
  return [
    differenceRow(`${title}: with a network / without a card`, cards, bare, 10),
    differenceRow(`${title}: over the agent's channel / without a card`, channel, bare, 10),
  ];
}
