/** The way out of one guest that is made up and means no good: how much it may ask for, and what a policy does to what is open. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { AgentStream, type StreamHandlers } from "../../guest/stream.ts";
import type { Clock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { PUBLIC_NETWORK, parseNetworkPolicy } from "../../model/network-policy.ts";
import type { NetworkVm } from "../elements.ts";
import { AllowedNames } from "./allowed-names.ts";
import { ASKS_AT_ONCE, ASKS_PER_SECOND, MAX_EGRESS } from "./limits.ts";
import { EgressSession } from "./session.ts";

const GATEWAY = "172.16.0.1";
const FAR = "203.0.113.10";

function vmWith(network: Partial<typeof PUBLIC_NETWORK>): NetworkVm {
  const policy = parseNetworkPolicy({ ...PUBLIC_NETWORK, ...network });
  return { id: "0123456789ab", address: "172.16.0.2", mac: "02:00:00:00:00:02", policy };
}

/** A clock that goes on only when it is told; nobody waits for its timers here. */
function createHandClock(): Clock & { pass(ms: number): void } {
  let now = 0;
  return { now: () => now, after: () => () => undefined, pass: (ms) => void (now += ms) };
}

async function createGuest(network: Partial<typeof PUBLIC_NETWORK> = {}) {
  const clock = createHandClock();
  const refused: number[] = [];
  const dialled: string[] = [];
  const blocked: string[] = [];
  let open = 0;
  let congested = false;
  const watching = new Set<() => void>();
  const changed = (by: 1 | -1): void => {
    open += by;
    for (const look of watching) look();
  };
  const server: Server = createServer((socket) => {
    changed(1);
    socket.on("error", () => undefined).on("close", () => changed(-1));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  let handlers: StreamHandlers = {};
  const answered = Promise.withResolvers<Uint8Array>();
  const sender = {
    send: (type: number, _: number, payload: Uint8Array) => {
      // As the connection has it.
      if (congested && type === 9) throw new BangerError("resource_exhausted", "the guest does not read");
      if (type !== 9) return;
      const { refuse } = JSON.parse(Buffer.from(payload).toString()) as { refuse?: { id: number } };
      if (refuse !== undefined) refused.push(refuse.id);
    },
    sendData: (_: number, bytes: Uint8Array) => answered.resolve(bytes),
    forget: () => undefined,
    isCongested: () => congested,
    onceDrained: () => undefined,
  };
  const opened = Promise.withResolvers<void>();
  let stream: AgentStream | undefined;
  const session = new EgressSession(vmWith(network), {
    clock,
    agent: async () => ({
      openEgress: (_, given) => {
        handlers = given;
        opened.resolve();
        stream = new AgentStream(1, sender, given, 262_144);
        return stream;
      },
      takeFlow: (flow, given) => {
        const stream = new AgentStream(3, sender, given, flow.window);
        queueMicrotask(() => given.onControl?.({ connected: {} }));
        return stream;
      },
    }),
    dial: (host, to) => {
      dialled.push(`${host}:${to}`);
      return connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    },
    facts: () => ({
      hostAddresses: [],
      pool: { family: 4, base: 0xac100000n, bits: 24 },
      gateway: { family: 4, value: 0xac100001n },
      peerAt: () => undefined,
    }),
    gateway: GATEWAY,
    answer: async (_, { message }) => Buffer.concat([Buffer.from("re:"), message]),
    onBlocked: (_, message) => blocked.push(message),
    onProblem: () => undefined,
  });
  await opened.promise;
  return {
    session,
    clock,
    refused,
    dialled,
    blocked,
    answered: answered.promise,
    /** Resolves when so many connections are open. */
    connected: async (count: number) =>
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (open !== count) return;
          watching.delete(look);
          resolve();
        };
        watching.add(look);
        look();
      }),
    fail: (error: BangerError) => stream?.fail(error),
    stopReading: () => void (congested = true),
    say: (message: unknown) => handlers.onControl?.(message as Readonly<Record<string, unknown>>),
    data: (bytes: Uint8Array) => handlers.onData?.(1, bytes),
    ask: (id: number, host = FAR, to = 80) => handlers.onControl?.({ flow: { id, address: host, port: to } }),
    [Symbol.asyncDispose]: async () => {
      session.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

test.each([
  ["allow", 1],
  ["full", 1],
  ["none", 0],
] as const)("with %s it is told when a guest's kernel has no TUN devices", async (mode, told) => {
  await using guest = await createGuest(mode === "allow" ? { mode, allow: ["good.test:80"] } : { mode });
  guest.fail(new BangerError("unsupported", "the guest's kernel has no TUN devices"));
  await guest.session.settled;
  expect(guest.session.hopeless).toBe(true);
  expect(guest.blocked.length).toBe(told);
  for (const message of guest.blocked) {
    expect(message).toStartWith(
      "nothing can be reached: the guest's kernel has no TUN devices; banger kernel",
    );
  }
});

test("a flood of connections is held to a rate and to a number, and the rest refused", async () => {
  await using guest = await createGuest();
  for (let id = 1; id <= 10_000; id += 1) guest.ask(id);
  expect([guest.dialled.length, guest.refused.length]).toEqual([ASKS_AT_ONCE, 10_000 - ASKS_AT_ONCE]);
  guest.clock.pass(1000);
  for (let id = 10_001; id <= 20_000; id += 1) guest.ask(id);
  expect(guest.dialled.length).toBe(Math.min(MAX_EGRESS, ASKS_AT_ONCE + ASKS_PER_SECOND));
  expect(guest.refused.length).toBe(20_000 - guest.dialled.length);
});

test("a guest that asks and does not read is told nothing, and nothing fails for it", async () => {
  await using guest = await createGuest({ mode: "full" });
  guest.ask(1, FAR, 80);
  await guest.connected(1);
  guest.stopReading();
  expect(() => guest.ask(2, "127.0.0.1", 80)).not.toThrow();
  expect(guest.refused).toEqual([]);
});

test("what is no question is ignored, and what may not be is refused without being dialled", async () => {
  await using guest = await createGuest();
  for (const message of [
    {},
    { flow: {} },
    { flow: { id: 0, address: FAR, port: 80 } },
    { flow: { id: 1, address: "localhost", port: 80 } },
    { flow: { id: 1, address: FAR, port: 70_000 } },
    { flow: { id: 1.5, address: FAR, port: 80 } },
    { flow: { id: 1, address: `${FAR}\n`, port: 80 } },
  ])
    guest.say(message);
  expect([guest.refused, guest.dialled]).toEqual([[], []]);
  const never = ["127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "172.16.0.7", "224.0.0.1", GATEWAY];
  for (const [at, address] of never.entries()) guest.ask(at + 1, address);
  expect([guest.refused.length, guest.dialled]).toEqual([never.length, []]);
  expect(guest.blocked[2]).toBe("tcp to 10.0.0.1:80 was refused: private addresses");
});

test("another policy cuts what it does not allow and leaves the rest", async () => {
  await using guest = await createGuest({ mode: "full" });
  guest.ask(1, FAR, 80);
  guest.ask(2, "203.0.113.20", 80);
  await guest.connected(2);
  guest.session.change(vmWith({ mode: "allow", allow: [FAR] }));
  await guest.connected(1);
  guest.session.change(vmWith({ mode: "none" }));
  await guest.connected(0);
  guest.ask(3);
  expect(guest.refused).toEqual([3]);
});

test("a question to the resolver is answered under its number", async () => {
  await using guest = await createGuest();
  guest.data(Buffer.from([7, 1, 104, 105]));
  expect(Buffer.from(await guest.answered).toString("latin1")).toBe("\x07\x01re:hi");
});

test("an address is known by a name for as long as the answer lives", () => {
  const clock = createHandClock();
  const names = new AllowedNames(() => clock.now());
  const rules = parseNetworkPolicy({
    ...PUBLIC_NETWORK,
    mode: "allow",
    allow: ["a.test:80", "*.b.test"],
  }).allow;
  names.allow({ rules: rules.slice(0, 1), addresses: [FAR], ttlS: 60 });
  clock.pass(30_000);
  names.allow({ rules: rules.slice(1), addresses: [FAR], ttlS: 60 });
  expect(names.of(FAR)).toEqual(["a.test", "any.b.test"]);
  clock.pass(40_000);
  expect(names.of(FAR)).toEqual(["any.b.test"]);
  clock.pass(30_000);
  expect(names.of(FAR)).toEqual([]);
  for (let at = 0; at < 10_000; at += 1)
    names.allow({ rules, addresses: [`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`], ttlS: 60 });
  expect(names.of("10.0.0.0")).toEqual([]);
  expect(names.of("10.0.39.15")).toEqual(["a.test", "any.b.test"]);
});
