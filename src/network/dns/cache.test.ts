import { expect, test } from "bun:test";
import { type Answer, decode, encode, type OptAnswer, type StringAnswer } from "dns-packet";
import { createCache } from "./cache.ts";
import { idOf, parseQuery } from "./message.ts";
import type { Nameserver } from "./upstream.ts";

const OPT: OptAnswer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
const SERVER: Nameserver = { address: "198.51.100.53", port: 53 };

test("the cache asks once while an answer lives, and tells how long it still lives", async () => {
  const { ask, asked, clock } = cacheOf(() => [record(60)]);
  expect(await ask(1)).toEqual({ id: 1, ttls: [60] });
  clock.ms = 10_999;
  expect(await ask(2)).toEqual({ id: 2, ttls: [50] });
  clock.ms = 59_999;
  expect(await ask(3)).toEqual({ id: 3, ttls: [1] });
  expect(asked.length).toBe(1);
  clock.ms = 60_000;
  expect(await ask(4)).toEqual({ id: 4, ttls: [60] });
  expect(asked.length).toBe(2);
});

test("the shortest life of an answer's records is its own", async () => {
  const cname: StringAnswer = { type: "CNAME", name: "good.test", ttl: 5, data: "far.test" };
  const { ask, asked, clock } = cacheOf(() => [cname, record(60)]);
  await ask(1);
  clock.ms = 4_999;
  expect(await ask(2)).toEqual({ id: 2, ttls: [1, 56] });
  clock.ms = 5_000;
  await ask(3);
  expect(asked.length).toBe(2);
});

test("questions that differ in more than their number have answers of their own", async () => {
  const { ask, asked } = cacheOf(() => [record(60)]);
  await ask(1, { name: "good.test" });
  await ask(2, { name: "other.test" });
  await ask(3, { name: "GOOD.test" });
  await ask(4, { name: "good.test", edns: true });
  await ask(5, { name: "good.test", transport: "tcp" });
  expect(asked.length).toBe(5);
  await ask(6, { name: "good.test", edns: true });
  await ask(7, { name: "good.test", transport: "tcp" });
  expect(asked.length).toBe(5);
});

test.each<[string, () => Answer[], number]>([
  ["has TTL 0", () => [record(0)], 0],
  ["has a TTL that is none", () => [record(0xffff_ffff)], 0],
  ["was cut", () => [record(60)], 0x200],
  ["is a failure", () => [], 2],
  ["denies a name for it knows not how long", () => [], 3],
])("an answer that %s is not kept", async (_, answers, flags) => {
  const { ask, asked } = cacheOf(answers, { flags });
  await ask(1);
  await ask(2);
  expect(asked.length).toBe(2);
});

test("that there is no such name is kept as long as its SOA says", async () => {
  const { ask, asked, clock } = cacheOf(() => [], {
    flags: 3,
    authorities: [
      {
        type: "SOA",
        name: "test",
        ttl: 600,
        data: {
          mname: "a.test",
          rname: "b.test",
          serial: 1,
          refresh: 900,
          retry: 900,
          expire: 900,
          minimum: 30,
        },
      },
    ],
  });
  await ask(1);
  clock.ms = 29_999;
  await ask(2);
  expect(asked.length).toBe(1);
  clock.ms = 30_000;
  await ask(3);
  expect(asked.length).toBe(2);
});

test("many who ask the same at once share one question, each with the answer to its own", async () => {
  const { ask, asked } = cacheOf(() => [record(0)]);
  expect(await Promise.all([ask(1), ask(2), ask(3)])).toEqual([
    { id: 1, ttls: [0] },
    { id: 2, ttls: [0] },
    { id: 3, ttls: [0] },
  ]);
  expect(asked.length).toBe(1);
});

test("what other nameservers said is forgotten", async () => {
  const servers = [SERVER];
  const { ask, asked } = cacheOf(() => [record(60)], {}, servers);
  await ask(1);
  servers[0] = { address: "203.0.113.53", port: 53 };
  await ask(2);
  expect(asked.length).toBe(2);
});

test("the cache holds no more than its limit, and lets the oldest go", async () => {
  const { ask, asked } = cacheOf(() => [record(60)]);
  for (let at = 0; at <= 2_048; at += 1) await ask(1, { name: `n${at}.test` });
  expect(asked.length).toBe(2_049);
  await ask(1, { name: "n1.test" });
  expect(asked.length).toBe(2_049);
  await ask(1, { name: "n0.test" });
  expect(asked.length).toBe(2_050);
});

function record(ttl: number): Answer {
  return { type: "A", name: "good.test", ttl, data: "203.0.113.9" };
}

interface Asked {
  readonly name?: string;
  readonly edns?: boolean;
  readonly transport?: "udp" | "tcp";
}

/** A cache in front of a nameserver with these answers. */
function cacheOf(
  answers: () => Answer[],
  reply: { readonly flags?: number; readonly authorities?: Answer[] } = {},
  servers: readonly Nameserver[] = [SERVER],
): {
  readonly asked: Uint8Array[];
  readonly clock: { ms: number };
  readonly ask: (id: number, asked?: Asked) => Promise<{ id: number; ttls: (number | undefined)[] }>;
} {
  const asked: Uint8Array[] = [];
  const clock = { ms: 0 };
  const cached = createCache({
    ask: async (bytes) => {
      asked.push(bytes);
      const { questions = [] } = decode(Buffer.from(bytes));
      return encode({
        type: "response",
        id: idOf(bytes),
        questions,
        answers: answers(),
        additionals: [OPT],
        ...reply,
      });
    },
    servers: () => servers,
    now: () => clock.ms,
  });
  return {
    asked,
    clock,
    async ask(id, { name = "good.test", edns = false, transport = "udp" } = {}) {
      const bytes = encode({
        type: "query",
        id,
        flags: 0x100,
        questions: [{ type: "A", name }],
        additionals: edns ? [OPT] : [],
      });
      const query = parseQuery(bytes);
      if (query === undefined || typeof query === "number") throw new Error("no query");
      const answer = await cached(bytes, query, transport);
      if (answer === undefined) throw new Error("no answer");
      const packet = decode(Buffer.from(answer));
      return {
        id: packet.id ?? -1,
        ttls: (packet.answers ?? []).map((one) => ("ttl" in one ? one.ttl : undefined)),
      };
    },
  };
}
