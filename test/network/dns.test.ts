/** What guests are told of names, and that what they may reach by name lives as long as the answer does. */
import { test as anyTest, expect } from "bun:test";
import { decode, encode } from "dns-packet";
import { inNetns } from "../../src/lib/netns.ts";
import { METADATA, OTHER_SITE, PRIVATE_HOST, SITE } from "./addresses.ts";
import { ask } from "./probe.ts";
import { createWorld, NO_WORLD, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const ONE = "172.30.5.2";
const QUESTIONS = 500;
const MOST_AT_ONCE = 64;
const REFUSED = 5;
const NO_NAME = 3;

test("the resolver answers as the policy goes, and keeps answers that point inside", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  const answers = async (): Promise<Record<string, readonly string[] | number>> =>
    Object.fromEntries(
      await Promise.all(
        ["good.test", "rebind.test", "mixed.test", "cloud.test", "no.test", "web.vm", "no.vm"].map(
          async (name) => [name, await guest.resolve(name)] as const,
        ),
      ),
    );
  const zone = { "web.vm": [ONE], "no.vm": NO_NAME };
  const near = { "rebind.test": REFUSED, "mixed.test": REFUSED, "cloud.test": REFUSED };
  expect(await answers()).toEqual({ "good.test": [SITE], ...near, "no.test": NO_NAME, ...zone });
  await world.set(guest, { mode: "full" });
  const inside = {
    "rebind.test": [PRIVATE_HOST],
    "mixed.test": [SITE, PRIVATE_HOST],
    "cloud.test": [METADATA],
  };
  expect(await answers()).toEqual({ "good.test": [SITE], ...inside, "no.test": NO_NAME, ...zone });
  await world.set(guest, { mode: "none" });
  const silent = { "good.test": REFUSED, "no.test": REFUSED };
  expect(await answers()).toEqual({ ...silent, ...near, ...zone });
  await world.set(guest, { mode: "allow", allow: ["good.test", "rebind.test"] });
  expect(await answers()).toEqual({ "good.test": [SITE], "no.test": REFUSED, ...near, ...zone });
  await world.set(guest, { mode: "public", deny: ["*.wild.test", "good.test"] });
  expect(await guest.resolve("good.test")).toBe(REFUSED);
  expect(await guest.resolve("a.wild.test")).toBe(REFUSED);
  expect(world.blocked.some(({ message }) => message.startsWith("rebind.test was not answered"))).toBe(true);
});

test("a name that is allowed opens the addresses it was answered with, on its ports only", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "allow", allow: ["good.test:80/tcp", "*.wild.test"] });
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(false);
  expect(await guest.resolve("GOOD.test")).toEqual([SITE]);
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(true);
  expect(await guest.reaches(SITE, "tcp", 81)).toBe(false);
  expect(await guest.reaches(SITE, "udp", 80)).toBe(false);
  expect(await guest.reaches(OTHER_SITE, "icmp")).toBe(false);
  expect(await guest.resolve("a.wild.test")).toEqual([OTHER_SITE]);
  expect(await guest.reaches(OTHER_SITE, "icmp")).toBe(true);
  expect(await guest.reaches(OTHER_SITE, "udp", 81)).toBe(true);
  const vm = vmOf(ONE, { mode: "allow", allow: ["good.test:80/tcp"] });
  expect(await world.service.check(vm, "good.test:80")).toMatchObject({
    verdict: "allow",
    rule: "--allow good.test:80/tcp",
  });
  expect(await world.service.check(vm, "good.test:81")).toMatchObject({ verdict: "deny" });
  expect(await world.service.check(vm, "other.test:80")).toMatchObject({ verdict: "deny" });
  expect(await world.service.check(vm, `${SITE}:80`)).toMatchObject({ verdict: "deny" });
  // Another policy knows nothing of what an earlier one had opened.
  await world.set(guest, { mode: "allow", allow: ["other.test"] });
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(false);
  await world.set(guest, { mode: "allow", allow: ["good.test:80/tcp"] });
  expect(await guest.reaches(SITE, "tcp", 80)).toBe(false);
});

test("what a name opened closes with its TTL", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "allow", allow: ["short.test", "good.test"] });
  expect(await guest.resolve("short.test")).toEqual([SITE]);
  expect(await guest.resolve("good.test")).toEqual([SITE]);
  const path = world.service.plan.netnsPath;
  const listed = JSON.stringify(
    await inNetns(path, () => world.programs.nftJson(path, ["list", "set", "inet", "banger", "named_any"])),
  );
  // Both names opened one address: it stays open as long as the longer of the two, a minute and the grace.
  expect(listed).toContain('"timeout":70');
  expect(listed).not.toContain('"timeout":10,');
});

test("an answer that does not fit a datagram is had over TCP, and nonsense does no harm", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  const query = encode({
    type: "query",
    id: 9,
    flags: 0x100,
    questions: [{ type: "A", name: "large.test" }],
  });
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.byteLength);
  const question = { address: "172.30.5.1", port: 53, timeoutMs: 10_000 };
  const cut = await ask(guest.netns, { ...question, protocol: "udp", message: query });
  expect(cut === undefined ? undefined : decode(cut).flag_tc).toBe(true);
  const whole = await askTcp(guest.netns, Buffer.concat([length, query]));
  expect(decode(whole).answers?.length).toBe(200);
  for (const nonsense of [
    Buffer.alloc(0),
    Buffer.alloc(5),
    Buffer.alloc(12, 0xff),
    Buffer.alloc(300, 0x3f),
  ]) {
    await ask(guest.netns, { ...question, protocol: "udp", message: nonsense, timeoutMs: 50 });
  }
  expect(await guest.resolve("good.test")).toEqual([SITE]);
  expect(world.problems).toEqual([]);
});

test("500 questions a second are all answered", async () => {
  await using world = await createWorld();
  const guest = await world.guest(ONE, { mode: "public" });
  await guest.resolve("good.test");
  const times: number[] = [];
  const from = performance.now();
  // One every two milliseconds, whatever the earlier ones do; but a host that was busy is not asked for all that it missed at once.
  let [asked, underWay] = [0, 0];
  const all = Promise.withResolvers<void>();
  const ask = async (): Promise<void> => {
    asked += 1;
    underWay += 1;
    await timed(() => guest.resolve("good.test"), times);
    underWay -= 1;
    if (times.length === QUESTIONS) all.resolve();
  };
  const timer = setInterval(() => {
    const due = Math.min(QUESTIONS, (performance.now() - from) / 2);
    const count = Math.min(due - asked, MOST_AT_ONCE - underWay);
    for (let one = 0; one < count; one += 1) ask().catch(all.reject);
    if (asked === QUESTIONS) clearInterval(timer);
  }, 1);
  await all.promise.finally(() => clearInterval(timer));
  times.sort((a, b) => a - b);
  const [median = 0, p99 = 0] = [times[Math.floor(times.length / 2)], times[Math.floor(times.length * 0.99)]];
  // Client, resolver and nameserver share one thread here: what is measured is the three of them.
  console.log(
    `resolver: ${times.length} questions, median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
  );
});

async function timed(work: () => Promise<unknown>, times: number[]): Promise<void> {
  const from = performance.now();
  await work();
  times.push(performance.now() - from);
}

async function askTcp(netns: string, message: Uint8Array): Promise<Buffer> {
  const client = Bun.spawn(
    ["nsenter", `--net=${netns}`, process.execPath, `${import.meta.dir}/echo-client.ts`, "172.30.5.1", "53"],
    { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
  );
  await client.stdin.write(message);
  await client.stdin.flush();
  let received = Buffer.alloc(0);
  for await (const chunk of client.stdout) {
    received = Buffer.concat([received, chunk]);
    if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) break;
  }
  client.kill("SIGKILL");
  return received.subarray(2);
}
