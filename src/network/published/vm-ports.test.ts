/** The published ports of one VM against a guest that is made up: counting, windows, and peers that fall silent. */
import { expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { fateOf, parrot, serveTcp, talk } from "../../../test/support/sockets.ts";
import { AgentStream, type StreamHandlers } from "../../guest/stream.ts";
import { createClock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import type { PublishedPort } from "../../model/published-port.ts";
import { HELD_MS, MAX_CONNECTIONS, PEER_IDLE_MS, SILENT_MS, windowOf } from "./limits.ts";
import { probePort } from "./listen.ts";
import { dialByRoute, type Routed } from "./route.ts";
import { type GuestPort, VmPorts } from "./vm-ports.ts";

interface Dialled {
  readonly target: GuestPort;
  readonly stream: AgentStream;
  readonly handlers: StreamHandlers;
  /** Bytes of each DATA that the guest got. */
  readonly heard: number[];
}

async function published(
  protocol: "tcp" | "udp",
  {
    route = async () => "none",
    heldMs,
    isOpen = true,
  }: {
    readonly route?: () => Promise<Routed>;
    readonly heldMs?: number;
    /** Whether the guest can be reached from the beginning. */
    readonly isOpen?: boolean;
  } = {},
) {
  const routed: number[] = [];
  const clock = new ManualClock();
  const dialled: Dialled[] = [];
  const problems: string[] = [];
  const broken: string[] = [];
  let met: ((one: Dialled) => void) | undefined;
  const ports = new VmPorts({
    clock,
    heldMs,
    onProblem: (message) => problems.push(message),
    onBroken: (_, error) => broken.push(error.message),
    route: async (guestPort) => {
      routed.push(guestPort);
      return await route();
    },
    dial: async (target, handlers) => {
      const heard: number[] = [];
      const sender = {
        send: () => undefined,
        sendData: (_: number, bytes: Uint8Array) => void heard.push(bytes.length),
        forget: () => undefined,
        isCongested: () => false,
        onceDrained: () => undefined,
      };
      const stream = new AgentStream(1, sender, handlers, target.window);
      const one = { target, stream, handlers, heard };
      dialled.push(one);
      met?.(one);
      return stream;
    },
  });
  const wish: PublishedPort = { address: "127.0.0.1", hostPort: 0, guestPort: 80, protocol };
  const port = await probePort(wish);
  await ports.add(port);
  if (isOpen) ports.open();
  const next = async (): Promise<Dialled> =>
    await new Promise<Dialled>((resolve) => {
      met = resolve;
    });
  return {
    port: port.hostPort,
    clock,
    dialled,
    routed,
    problems,
    broken,
    next,
    ports,
    [Symbol.dispose]: () => ports.close(),
  };
}

async function closeOf(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

test("connections are counted while they are open, and room comes back", async () => {
  using vm = await published("tcp");
  const open = async (): Promise<{ socket: Socket; dialled: Dialled }> => {
    const dialled = vm.next();
    const socket = connect({ port: vm.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    return { socket, dialled: await dialled };
  };
  const all = [];
  for (let at = 0; at < MAX_CONNECTIONS; at += 1) all.push(await open());
  expect(vm.dialled.map(({ target }) => target.nth).at(-1)).toBe(MAX_CONNECTIONS);
  for (const _ of [1, 2]) {
    const refused = connect({ port: vm.port, host: "127.0.0.1" }).on("error", () => undefined);
    await closeOf(refused);
  }
  expect(vm.problems).toEqual([`127.0.0.1:${vm.port}: ${MAX_CONNECTIONS} connections are open already`]);
  expect(vm.dialled.length).toBe(MAX_CONNECTIONS);
  // The guest refuses one: its connection is reset, and another has room.
  const last = all.at(-1);
  last?.dialled.stream.fail(new BangerError("failed_precondition", "nobody listens"));
  if (last !== undefined) await closeOf(last.socket);
  expect((await open()).dialled.target.nth).toBe(MAX_CONNECTIONS);
  for (const { socket } of all) socket.destroy();
}, 240_000);

test("a guest is reached by its address where it answers there, and over the agent's channel where not", async () => {
  await using server = await serveTcp(parrot);
  let way = async (): Promise<Routed> =>
    await dialByRoute({ host: "127.0.0.1", port: server.port }, createClock());
  using vm = await published("tcp", { route: async () => await way() });
  expect((await talk(vm.port, "hello")).toString()).toBe("hello!");
  expect([vm.dialled.length, vm.routed]).toEqual([0, [80]]);
  const dial = async (): Promise<void> => {
    const next = vm.next();
    const socket = connect({ port: vm.port, host: "127.0.0.1" }).on("error", () => undefined);
    await next;
    socket.destroy();
  };
  way = async () => "none";
  await dial();
  way = async () => "silent";
  await dial();
  expect(vm.routed.length).toBe(3);
  // It is left alone for a while.
  await dial();
  expect(vm.routed.length).toBe(3);
  vm.clock.advance(SILENT_MS);
  await dial();
  expect(vm.routed.length).toBe(4);
  way = async () => {
    throw new BangerError("failed_precondition", "web is paused");
  };
  vm.clock.advance(SILENT_MS);
  expect(await fateOf(vm.port)).toBe("ECONNRESET");
  expect(vm.dialled.length).toBe(4);
});

test("who waits for a guest that does not answer is let go after a while, and the next one waits anew", async () => {
  using vm = await published("tcp", { heldMs: HELD_MS, isOpen: false });
  const wait = async (): Promise<{ readonly fate: Promise<string> }> => {
    const waits = new Promise<void>((resolve) => {
      vm.clock.onSet = resolve;
    });
    const fate = fateOf(vm.port);
    await waits;
    return { fate };
  };
  const first = await wait();
  vm.clock.advance(HELD_MS - 1);
  const second = await wait();
  vm.clock.advance(1);
  expect(await first.fate).toBe("ECONNRESET");
  expect(vm.broken).toEqual(["the VM did not answer within 30 s"]);
  const dialled = vm.next();
  vm.ports.open();
  (await dialled).stream.fail(new BangerError("failed_precondition", "nobody listens"));
  expect(await second.fate).toBe("ECONNRESET");
  expect([vm.dialled.length, vm.clock.timers]).toEqual([1, 0]);
});

test("windows shrink with the number of connections and add up to a bounded sum", () => {
  const windows = Array.from({ length: MAX_CONNECTIONS }, (_, at) => windowOf("tcp", at + 1));
  expect([windows[0], windows[63], windows.at(-1)]).toEqual([262_144, 262_144, 8738]);
  expect(windows.reduce((sum, one) => sum + one, 0)).toBeLessThan(80 * 2 ** 20);
  expect(windowOf("udp", MAX_CONNECTIONS)).toBe(65_536);
});

test("a UDP peer that falls silent is forgotten, and met anew when it speaks again", async () => {
  using vm = await published("udp");
  const socket = createSocket("udp4");
  try {
    const say = async (): Promise<Dialled> => {
      const dialled = vm.next();
      socket.send("hello", vm.port, "127.0.0.1");
      return await dialled;
    };
    const first = await say();
    vm.clock.advance(PEER_IDLE_MS - 1);
    first.handlers.onData?.(1, new Uint8Array(3));
    vm.clock.advance(1);
    expect(first.stream.over).toBe(false);
    vm.clock.advance(PEER_IDLE_MS);
    expect(first.stream.over).toBe(true);
    expect(first.heard).toEqual([5]);
    expect((await say()).target.nth).toBe(1);
  } finally {
    socket.close();
  }
});
