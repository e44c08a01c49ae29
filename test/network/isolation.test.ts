/** What guests can do to each other, to the host, and with addresses that are not theirs; and what the host can do with them. */
import { test as anyTest, expect } from "bun:test";
import { inNetns } from "../../src/lib/netns.ts";
import { createNetPrograms } from "../../src/network/programs.ts";
import { HOST, SITE } from "./addresses.ts";
import { ask } from "./probe.ts";
import { createWorld, NO_WORLD, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const TWO = "172.30.5.3";

test("guests reach each other only when both say --network-peers", async () => {
  await using world = await createWorld();
  const one = await world.guest(ONE, { mode: "full" });
  const two = await world.guest(TWO, { mode: "full" });
  for (const [first, second, open] of [
    [false, false, false],
    [true, false, false],
    [false, true, false],
    [true, true, true],
    [true, false, false],
  ] as const) {
    await world.set(one, { mode: "full", peers: first });
    await world.set(two, { mode: "full", peers: second });
    expect([await one.reaches(TWO, "tcp", 80), await two.reaches(ONE, "tcp", 80)]).toEqual([open, open]);
    expect(await one.reaches(TWO, "icmp")).toBe(open);
  }
  // A policy that lets nothing out says nothing of peers.
  await world.set(one, { mode: "none", peers: true });
  await world.set(two, { mode: "none", peers: true });
  expect(await one.reaches(TWO, "tcp", 80)).toBe(true);
  expect(await one.reaches(SITE, "tcp", 80)).toBe(false);
});

test("host and guest reach each other where the policy lets the guest", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "none" });
  const question = {
    protocol: "tcp",
    address: ONE,
    port: 80,
    message: undefined,
    timeoutMs: 10_000,
  } as const;
  const answer = await ask("/proc/thread-self/ns/net", question);
  expect(answer?.toString()).toBe("hello");
  expect(await guest.reaches(HOST, "tcp", 80)).toBe(false);
  await world.set(guest, { mode: "full" });
  expect(await guest.reaches(HOST, "tcp", 80)).toBe(true);
});

test("packets with another's address or MAC go nowhere", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  await world.guest(TWO, { mode: "full" });
  const programs = createNetPrograms();
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  const { device, netns } = guest;
  await programs.ip(netns, [
    `addr add ${TWO}/32 dev ${device}`,
    `route change default via 172.30.5.1 src ${TWO}`,
  ]);
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(false);
  expect(await guest.reaches(HOST, "tcp", 80)).toBe(false);
  await programs.ip(netns, [
    `route change default via 172.30.5.1 src ${ONE}`,
    `addr del ${TWO}/32 dev ${device}`,
  ]);
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  await programs.ip(netns, [`link set ${device} address 02:62:ac:1e:05:03`]);
  expect(await guest.reaches(SITE, "udp", 80)).toBe(false);
  await programs.ip(netns, [`link set ${device} address 02:62:ac:1e:05:02`]);
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
});

test("the gateway answers questions for names and pings, and nothing else", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "full" });
  const server = inNetns(world.service.plan.netnsPath, () =>
    Bun.listen({
      hostname: "0.0.0.0",
      port: 80,
      socket: { open: (socket) => void socket.end("hello"), data: () => undefined },
    }),
  );
  try {
    expect(await guest.reaches("172.30.5.1", "icmp")).toBe(true);
    expect(await guest.reaches("172.30.5.1", "tcp", 80)).toBe(false);
    expect(await guest.resolve("web.vm")).toEqual([ONE]);
  } finally {
    server.stop(true);
  }
});

test("an open connection ends with the policy that let it through", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "full" });
  const echo = Bun.listen({
    hostname: HOST,
    port: 7,
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  using connection = await openEcho(guest.netns, HOST);
  expect(await connection.echo("before")).toBe(true);
  // The same policy in other words keeps it.
  await world.set(guest, { mode: "full" });
  expect(await connection.echo("same")).toBe(true);
  await world.set(guest, { mode: "public" });
  expect(await connection.echo("after")).toBe(false);
  echo.stop(true);
});

test("taps that come and go do not move the gateway under a guest", async () => {
  await using world = await createWorld({ tapPoolSize: 8 });
  const guest = await world.guest(ONE, { mode: "public" });
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  const { network, plan } = world.service;
  const gateway = async (): Promise<unknown> =>
    await world.programs.ipJson(plan.netnsPath, ["-br", "link", "show", "dev", "br0"]);
  const before = await gateway();
  for (let at = 10; at < 30; at += 1) await network.attach(vmOf(`172.30.5.${at}`, {}));
  for (let at = 10; at < 30; at += 1) await network.detach(vmOf(`172.30.5.${at}`, {}).id);
  await network.settled();
  // A bridge left to itself takes the lowest MAC of its ports.
  expect(await gateway()).toEqual(before);
  expect(JSON.stringify(before)).toContain("02:62:ac:1e:05:01");
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
});

/** A connection that asks and gets the same back. */
async function openEcho(
  netns: string,
  address: string,
): Promise<Disposable & { echo(text: string): Promise<boolean> }> {
  const relay = Bun.spawn(
    ["nsenter", `--net=${netns}`, process.execPath, import.meta.dir + "/echo-client.ts", address, "7"],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      env: { ...process.env, BUN_BE_BUN: "1" },
    },
  );
  const reader = relay.stdout.getReader();
  return {
    async echo(text) {
      await relay.stdin.write(text);
      await relay.stdin.flush();
      const { value } = await reader.read();
      return value !== undefined && Buffer.from(value).toString() === text;
    },
    [Symbol.dispose]: () => relay.kill("SIGKILL"),
  };
}
