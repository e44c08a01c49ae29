/** What guests with IPv6 can do to each other and to the host's idea of who is where: nothing but speak truly of themselves. */
import { test as anyTest, expect } from "bun:test";
import { z } from "zod";
import { macFromAddress } from "../../src/model/addresses.ts";
import { linkLocalOf } from "../../src/model/addresses6.ts";
import { GATEWAY6, guest6, HOST6, POOL6, PRIVATE_HOST6, SITE6 } from "./addresses.ts";
import {
  behind,
  type Frame,
  HOP_BY_HOP,
  message,
  neighbour,
  ROUTING,
  SOURCE_LINK,
  sendFrames,
  TARGET_LINK,
  UDP,
} from "./frames6.ts";
import type { Guest } from "./guest.ts";
import { ask } from "./probe.ts";
import { createWorld, NO_WORLD, type World } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const TWO = "172.30.5.3";
const [ONE6, TWO6] = [guest6(2), guest6(3)];
const [MINE, THEIRS] = [macFromAddress(ONE), macFromAddress(TWO)];
const EVERYBODY = "ff02::1";
const [ROUTER_SOLICIT, ROUTER_ADVERT, REDIRECT, REPORT, ECHO] = [133, 134, 137, 143, 128];

type Lie = readonly [what: string, frame: Partial<Frame> & Pick<Frame, "body">];

/** Each from the guest's own address and MAC unless it says otherwise. */
const LIES: readonly Lie[] = [
  ["a ping from another's address", { source: TWO6, body: message(ECHO) }],
  ["a ping from another's MAC", { mac: THEIRS, body: message(ECHO) }],
  ["a ping from its link-local address", { source: linkLocalOf(MINE), body: message(ECHO) }],
  ["a datagram from another's address", { source: TWO6, nextHeader: UDP, body: message(0) }],
  ["a datagram from an address of the internet", { source: SITE6, nextHeader: UDP, body: message(0) }],
  ["a packet with a route of its own", { nextHeader: ROUTING, body: behind(message(ECHO)) }],
  ["a router's advertisement", { source: linkLocalOf(MINE), body: message(ROUTER_ADVERT) }],
  ["a router's advertisement from its address", { body: message(ROUTER_ADVERT) }],
  [
    "a router's advertisement behind a header",
    { nextHeader: HOP_BY_HOP, body: behind(message(ROUTER_ADVERT)) },
  ],
  ["a search for routers", { source: linkLocalOf(MINE), body: message(ROUTER_SOLICIT) }],
  ["a redirect", { body: Buffer.concat([message(REDIRECT), Buffer.alloc(32)]) }],
  ["a listener's report", { source: linkLocalOf(MINE), body: message(REPORT) }],
  [
    "a question from another's address",
    { source: TWO6, body: neighbour(135, GATEWAY6, { kind: SOURCE_LINK, mac: MINE }) },
  ],
  [
    "a question that names another's MAC",
    { body: neighbour(135, GATEWAY6, { kind: SOURCE_LINK, mac: THEIRS }) },
  ],
  ["a question from nobody", { source: "::", body: neighbour(135, TWO6) }],
  [
    "a question behind a header",
    { nextHeader: HOP_BY_HOP, body: behind(neighbour(135, GATEWAY6, { kind: SOURCE_LINK, mac: MINE })) },
  ],
  [
    "a question with two MACs",
    {
      body: Buffer.concat([
        neighbour(135, GATEWAY6, { kind: SOURCE_LINK, mac: MINE }),
        Buffer.from([SOURCE_LINK, 1, 2, 0x62, 0xac, 0x1e, 5, 3]),
      ]),
    },
  ],
  ["a claim to another's address", { body: neighbour(136, TWO6, { kind: TARGET_LINK, mac: MINE }) }],
  ["a claim to the gateway's address", { body: neighbour(136, GATEWAY6, { kind: TARGET_LINK, mac: MINE }) }],
  ["a claim to another's address without a MAC", { body: neighbour(136, TWO6) }],
  [
    "a claim from another's address",
    { source: TWO6, body: neighbour(136, TWO6, { kind: TARGET_LINK, mac: MINE }) },
  ],
  ["a claim that names another's MAC", { body: neighbour(136, ONE6, { kind: TARGET_LINK, mac: THEIRS }) }],
  [
    "a claim behind a header",
    { nextHeader: HOP_BY_HOP, body: behind(neighbour(136, ONE6, { kind: TARGET_LINK, mac: MINE })) },
  ],
];
const TRUTHS: readonly Lie[] = [
  ["a ping", { body: message(ECHO) }],
  ["a datagram", { nextHeader: UDP, body: message(0) }],
  ["a question", { body: neighbour(135, GATEWAY6, { kind: SOURCE_LINK, mac: MINE }) }],
  [
    "a question from its link-local address",
    { source: linkLocalOf(MINE), body: neighbour(135, GATEWAY6, { kind: SOURCE_LINK, mac: MINE }) },
  ],
  ["an answer", { body: neighbour(136, ONE6, { kind: TARGET_LINK, mac: MINE }) }],
  ["an answer without a MAC", { body: neighbour(136, ONE6) }],
];

/** Packets of the kernel's own have labels, too: these are not among those that it makes. */
const FIRST_LABEL = 0x5a000;

test("of what a guest sends at its tap nothing passes that speaks falsely of who it is, or of routes", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest(ONE, { mode: "full" });
  await world.guest(TWO, { mode: "full" });
  await watchLabels(world);
  const sent = [...LIES, ...TRUTHS];
  const frames = sent.map(([, frame], at): Frame => {
    const base = { mac: MINE, source: ONE6, target: EVERYBODY, label: FIRST_LABEL + at };
    return { ...base, ...frame };
  });
  sendFrames(guest.netns, guest.device, frames);
  const passed = await labelsThatPassed(world, guest, FIRST_LABEL + sent.length - 1);
  const titles = sent.flatMap(([what], at) => (passed.has(FIRST_LABEL + at) ? [what] : []));
  expect(titles).toEqual(TRUTHS.map(([what]) => what));
  expect(world.problems).toEqual([]);
});

test("a guest with another's IPv6 address or MAC reaches nothing, and with its own again everything", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest(ONE, { mode: "public" });
  await world.guest(TWO, { mode: "full" });
  const { device, netns } = guest;
  const ip = async (...lines: string[]): Promise<void> => await world.programs.ip(netns, lines);
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(true);
  await ip(
    `addr add ${TWO6}/128 dev ${device} nodad`,
    `route replace ::/0 via ${GATEWAY6} dev ${device} src ${TWO6}`,
  );
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(false);
  expect(await guest.reaches(PRIVATE_HOST6, "udp", 80)).toBe(false);
  await ip(
    `route replace ::/0 via ${GATEWAY6} dev ${device} src ${ONE6}`,
    `addr del ${TWO6}/128 dev ${device}`,
  );
  expect(await guest.reaches(SITE6, "tcp", 80)).toBe(true);
  await ip(`link set ${device} address ${THEIRS}`);
  expect(await guest.reaches(SITE6, "udp", 80)).toBe(false);
  await ip(`link set ${device} address ${MINE}`);
  expect(await guest.reaches(SITE6, "udp", 80)).toBe(true);
});

test("guests reach each other over IPv6 only when both say --network-peers", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const one = await world.guest(ONE, { mode: "full" });
  const two = await world.guest(TWO, { mode: "full" });
  for (const [first, second, open] of [
    [false, false, false],
    [true, false, false],
    [true, true, true],
    [false, true, false],
  ] as const) {
    await world.set(one, { mode: "full", peers: first });
    await world.set(two, { mode: "full", peers: second });
    expect([await one.reaches(TWO6, "tcp", 80), await two.reaches(ONE6, "tcp", 80)]).toEqual([open, open]);
    expect([await one.reaches(TWO6, "icmp"), await two.reaches(ONE6, "icmp")]).toEqual([open, open]);
  }
});

test("host and guest reach each other over IPv6 where the policy lets the guest, and the gateway only answers pings", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest(ONE, { mode: "none" });
  const question = {
    protocol: "tcp",
    address: ONE6,
    port: 80,
    message: undefined,
    timeoutMs: 10_000,
  } as const;
  expect((await ask("/proc/thread-self/ns/net", question))?.toString()).toBe("hello");
  expect(await guest.reaches(HOST6, "tcp", 80)).toBe(false);
  expect(await guest.reaches(GATEWAY6, "icmp")).toBe(true);
  expect(await guest.reaches(GATEWAY6, "tcp", 80)).toBe(false);
  await world.set(guest, { mode: "full" });
  expect(await guest.reaches(HOST6, "tcp", 80)).toBe(true);
  expect(await guest.reaches(GATEWAY6, "tcp", 80)).toBe(false);
});

/** Has the namespace remember the labels of IPv6 packets that the rules of the taps let through. */
async function watchLabels({ service, programs }: World): Promise<void> {
  await programs.nft(
    service.plan.netnsPath,
    `table bridge spy {
  set passed { typeof ip6 flowlabel; flags dynamic; size 65535; }
  chain spy {
    type filter hook prerouting priority 100; policy accept;
    add @passed { ip6 flowlabel }
  }
}
`,
  );
}

const SetSchema: z.ZodType<{ nftables: { set?: { elem?: unknown[] | undefined } | undefined }[] }> = z.object(
  {
    nftables: z.array(z.object({ set: z.object({ elem: z.array(z.unknown()).optional() }).optional() })),
  },
);

/** Frames of one guest pass one after the other: with the last all have been judged. */
async function labelsThatPassed(world: World, guest: Guest, last: number): Promise<Set<unknown>> {
  const { netnsPath } = world.service.plan;
  for (let round = 0; round < 100; round += 1) {
    const listed = await world.programs.nftJson(netnsPath, ["list", "set", "bridge", "spy", "passed"]);
    const passed = new Set(SetSchema.parse(listed).nftables.flatMap(({ set }) => set?.elem ?? []));
    if (passed.has(last)) return passed;
    // Packets of another kind go the same way meanwhile.
    await guest.reaches(SITE6, "icmp");
  }
  throw new Error("the last frame did not pass");
}
