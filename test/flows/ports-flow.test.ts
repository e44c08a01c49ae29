/** Published ports through client, server and the real agent (whose ports are this host's): who gets one, what goes through it, and when it goes. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { PublishedPort, Vm } from "../../src/sdk/index.ts";
import { createFakeDriver } from "../../src/vmm/fake/driver.ts";
import { agentProgram } from "../../src/vmm/fake/programs.ts";
import { AGENT } from "../support/agent.ts";
import { hypervisorsOf, killToTheEnd } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { withSlowAdoption } from "../support/slow-adoption.ts";
import { fateOf, parrot, serveTcp, serveUdp, talk, udpClient } from "../support/sockets.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "../support/test-daemon.ts";

const IMAGE = "img";

async function furnished(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await createTestDaemon(options);
  await daemon.addImage(IMAGE);
  return daemon;
}

const tcp = (hostPort: number, guestPort: number): PublishedPort => ({
  address: "127.0.0.1",
  hostPort,
  guestPort,
  protocol: "tcp",
});
const udp = (hostPort: number, guestPort: number): PublishedPort => ({
  ...tcp(hostPort, guestPort),
  protocol: "udp",
});

const hostPort = (vm: Vm, at = 0): number => vm.spec.ports?.[at]?.hostPort ?? 0;

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  await using server = await serveTcp(() => undefined);
  return server.port;
}

const LARGE = Buffer.alloc(5_000_000, "published ");

test("a published port leads into the guest, on a free port that is shown and kept over a restart", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  await using server = await serveTcp(parrot);
  const vm = await client.createVm({ name: "web", image: IMAGE, ports: [tcp(0, server.port)] });
  const port = hostPort(vm);
  expect(port).toBeGreaterThan(0);
  const answers = await Promise.all(["one", LARGE, ""].map((words) => talk(port, words)));
  expect(answers.map((answer) => answer.length)).toEqual([4, LARGE.length + 1, 1]);
  expect(answers[1]?.subarray(0, -1).equals(LARGE)).toBe(true);
  const listeners = await client.ports("web");
  expect(listeners.find((one) => one.port === server.port)?.published).toEqual([`127.0.0.1:${port}`]);
  await client.stopVm("web");
  expect(await fateOf(port)).toBe("ECONNREFUSED");
  expect(hostPort(await client.startVm("web"))).toBe(port);
  expect((await talk(port, "again")).toString()).toBe("again!");
  await client.removeVm("web", { force: true });
  expect(await fateOf(port)).toBe("ECONNREFUSED");
});

test("a connection to a port that nobody listens on in the guest is reset", async () => {
  await using daemon = await furnished();
  const vm = await daemon.client.createVm({ image: IMAGE, ports: [tcp(0, await freePort())] });
  expect(await fateOf(hostPort(vm))).toBe("ECONNRESET");
});

test("who connects while the VM starts waits until it runs", async () => {
  await using server = await serveTcp(parrot);
  const port = await freePort();
  let answer: Promise<Buffer> | undefined;
  await using daemon = await furnished({
    capabilities: [
      {
        name: "impatient",
        started: async () => {
          answer = talk(port, "early");
        },
      },
    ],
  });
  await daemon.client.createVm({ image: IMAGE, ports: [tcp(port, server.port)] });
  expect((await answer)?.toString()).toBe("early!");
});

test("a reader that stops stops its own connection only, and each side ends by itself", async () => {
  await using daemon = await furnished();
  const flood = Buffer.alloc(8_000_000, 7);
  await using server = await serveTcp((socket) => socket.end(flood));
  await using friend = await serveTcp(parrot);
  const ports = [tcp(0, server.port), tcp(0, friend.port)];
  const vm = await daemon.client.createVm({ image: IMAGE, ports });
  const slow = connect({ port: hostPort(vm), host: "127.0.0.1", allowHalfOpen: true });
  const [first] = (await once(slow, "data")) as [Buffer];
  slow.pause();
  for (const words of ["a", "b", LARGE]) {
    expect((await talk(hostPort(vm, 1), words)).length).toBe(words.length + 1);
  }
  let heard = first.length;
  slow.on("data", (bytes: Buffer) => {
    heard += bytes.length;
  });
  slow.resume();
  await once(slow, "end");
  expect(heard).toBe(flood.length);
  slow.destroy();
});

test("a client that breaks off breaks the connection in the guest, which does not look finished", async () => {
  await using daemon = await furnished();
  const met = Promise.withResolvers<Socket>();
  const broke = Promise.withResolvers<string>();
  await using server = await serveTcp((socket) => {
    socket.on("error", (error: NodeJS.ErrnoException) => broke.resolve(error.code ?? error.message));
    socket.on("end", () => broke.resolve("end"));
    met.resolve(socket);
  });
  const vm = await daemon.client.createVm({ image: IMAGE, ports: [tcp(0, server.port)] });
  const client = connect({ port: hostPort(vm), host: "127.0.0.1" });
  (await met.promise).resume();
  client.resetAndDestroy();
  expect(await broke.promise).toBe("ECONNRESET");
});

test("a port that is in use is refused before there is a VM, and by a start before anything starts", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  const port = await freePort();
  {
    await using _taken = await serveTcp(() => undefined, port);
    const error = await refusal(client.createVm({ image: IMAGE, ports: [tcp(port, 80)] }), "already_exists");
    expect(error.message).toBe(`cannot publish 127.0.0.1:${port}: another program of this host uses it`);
    expect(error.cure).toContain("0:80");
    expect(await client.listVms()).toEqual([]);
  }
  await client.createVm({ name: "web", image: IMAGE, ports: [tcp(port, 80)] }, { start: false });
  {
    await using _taken = await serveTcp(() => undefined, port);
    await refusal(client.startVm("web"), "already_exists");
    const { state, startSteps } = await client.showVm("web");
    expect(state).toBe("stopped");
    expect(startSteps.map((step) => step.name)).not.toContain("spawn");
  }
  expect((await client.startVm("web")).state).toBe("running");
});

test("a port of this host belongs to one VM, whether or not it runs", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  const port = await freePort();
  await client.createVm({ name: "one", image: IMAGE, ports: [tcp(port, 80)] }, { start: false });
  const anywhere = { ...tcp(port, 81), address: "0.0.0.0" };
  const error = await refusal(
    client.createVm({ name: "two", image: IMAGE, ports: [anywhere] }),
    "already_exists",
  );
  expect(error.message).toBe(`0.0.0.0:${port} belongs to the VM one, which is stopped`);
  expect(error.cure).toContain(`banger set one --unpublish ${port}`);
  await client.createVm({ name: "two", image: IMAGE, ports: [udp(port, 80)] }, { start: false });
  await refusal(client.setVm("two", { publish: [tcp(port, 80)] }), "already_exists");
  await client.setVm("one", { unpublish: [{ hostPort: port, protocol: "tcp" }] });
  expect((await client.setVm("two", { publish: [tcp(port, 80)] })).spec.ports?.length).toBe(2);
});

test.each([
  ["a port of the guest out of range", { ...tcp(0, 80), guestPort: 0 }],
  ["a port of the host out of range", { ...tcp(0, 80), hostPort: 65_536 }],
  ["no address", { ...tcp(0, 80), address: "localhost" }],
  ["another form of an address", { ...tcp(0, 80), address: "0:0:0:0:0:0:0:1" }],
  ["an address of another host", { ...tcp(0, 80), address: "192.0.2.1" }],
] as const)("%s is refused, and no VM is left", async (_, port) => {
  await using daemon = await furnished();
  await refusal(daemon.client.createVm({ image: IMAGE, ports: [port] }), "invalid_argument");
  expect(await daemon.client.listVms()).toEqual([]);
});

test("set publishes and takes away on a running VM, and what it cannot have changes nothing", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  await using server = await serveTcp((socket) => socket.write("hello"));
  await using taken = await serveTcp(() => undefined);
  await client.createVm({ name: "web", image: IMAGE });
  const vm = await client.setVm("web", { publish: [tcp(0, server.port), tcp(0, server.port)] });
  const [kept, gone] = [hostPort(vm), hostPort(vm, 1)];
  const hear = async (port: number): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1" });
    await once(socket, "data");
    return socket;
  };
  const [stays, ends] = await Promise.all([hear(kept), hear(gone)]);
  // It does not look finished.
  const broke = once(ends, "error");
  await refusal(client.setVm("web", { publish: [tcp(taken.port, 1)] }), "already_exists");
  // Nobody has both of these, and the first is not had alone.
  const both = [tcp(await freePort(), 1), { ...tcp(taken.port, 1), address: "0.0.0.0" }];
  await refusal(client.setVm("web", { publish: both }), "already_exists");
  expect(await fateOf(both[0]?.hostPort ?? 0)).toBe("ECONNREFUSED");
  await refusal(client.setVm("web", { unpublish: [{ hostPort: 1, protocol: "tcp" }] }), "invalid_argument");
  expect((await client.showVm("web")).spec.ports).toEqual(vm.spec.ports);
  const after = await client.setVm("web", { unpublish: [{ hostPort: gone, protocol: "tcp" }] });
  expect(await broke).toMatchObject([{ code: "ECONNRESET" }]);
  expect(after.spec.ports).toEqual([tcp(kept, server.port)]);
  expect(await fateOf(gone)).toBe("ECONNREFUSED");
  expect(stays.destroyed).toBe(false);
  stays.destroy();
});

test("the next daemon listens again for VMs that run, and says which ports it could not have", async () => {
  await using server = await serveTcp(parrot);
  const first = await furnished();
  const ports = [tcp(0, server.port), tcp(0, server.port)];
  const vm = await first.client.createVm({ name: "web", image: IMAGE, ports });
  const [lost, kept] = [hostPort(vm), hostPort(vm, 1)];
  await first.crash();
  expect(await fateOf(kept)).toBe("ECONNREFUSED");
  {
    await using _thief = await serveTcp(() => undefined, lost);
    const second = await createTestDaemon({ home: first.home });
    expect((await talk(kept, "still")).toString()).toBe("still!");
    expect((await second.client.showVm("web")).portProblems).toEqual([
      `cannot publish 127.0.0.1:${lost}: another program of this host uses it`,
    ]);
    await second.crash();
  }
  await using third = await createTestDaemon({ home: first.home });
  expect((await talk(lost, "back")).toString()).toBe("back!");
  expect((await third.client.showVm("web")).portProblems).toBeUndefined();
});

/** The next daemon on the home of a VM that runs, which takes no order of that daemon before `answers`; and who connected to its port. */
async function adoptedSlowly(server: { readonly port: number }, answers: Promise<void>) {
  await using undo = new AsyncDisposableStack();
  const first = await furnished();
  const vm = await first.client.createVm({ name: "web", image: IMAGE, ports: [tcp(0, server.port)] });
  await first.crash();
  const driver = createFakeDriver({ program: agentProgram(AGENT) });
  const next = undo.use(
    await createTestDaemon({ home: first.home, drivers: [withSlowAdoption(driver, answers)] }),
  );
  const socket = connect({ port: hostPort(vm), host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  const held = undo.move();
  return { next, socket, port: hostPort(vm), [Symbol.asyncDispose]: () => held.disposeAsync() };
}

test("who connects to a VM that a daemon is only just taking over waits until it answers", async () => {
  await using server = await serveTcp(parrot);
  const answers = Promise.withResolvers<void>();
  await using vm = await adoptedSlowly(server, answers.promise);
  const heard: Buffer[] = [];
  vm.socket.on("data", (bytes: Buffer) => heard.push(bytes));
  const ended = once(vm.socket, "end");
  vm.socket.end("held");
  answers.resolve();
  await ended;
  expect(Buffer.concat(heard).toString()).toBe("held!");
});

test("who waits for a VM that a daemon is taking over hears of its end, and nobody listens any more", async () => {
  await using server = await serveTcp(parrot);
  await using vm = await adoptedSlowly(server, Promise.withResolvers<void>().promise);
  const broke = Promise.withResolvers<string>();
  vm.socket.on("error", (error: NodeJS.ErrnoException) => broke.resolve(error.code ?? error.message));
  vm.socket.resume();
  const [hypervisor] = hypervisorsOf(vm.next.home);
  await killToTheEnd(hypervisor);
  expect(await broke.promise).toBe("ECONNRESET");
  expect(await fateOf(vm.port)).toBe("ECONNREFUSED");
});

test("forks and VMs made from a snapshot have none of the ports, and a restored VM keeps its own", async () => {
  await using server = await serveTcp(parrot);
  await using daemon = await furnished();
  const { client } = daemon;
  const vm = await client.createVm({ name: "web", image: IMAGE, ports: [tcp(0, server.port)] });
  await client.createSnapshot("web", { name: "ready" });
  const { vms: children } = await client.forkVm("web", { count: 1 });
  expect(children.map((child) => child.spec.ports)).toEqual([undefined]);
  expect((await client.createVm({ name: "made", snapshot: "ready" })).spec.ports).toBeUndefined();
  const more = await client.setVm("web", { publish: [tcp(0, server.port)] });
  const restored = await client.restoreVm("web", "ready");
  expect(restored.spec.ports).toEqual(more.spec.ports);
  for (const at of [0, 1]) expect((await talk(hostPort(restored, at), "x")).toString()).toBe("x!");
  expect(hostPort(restored)).toBe(hostPort(vm));
});

test("datagrams go both ways with their borders, each peer for itself", async () => {
  await using daemon = await furnished();
  await using server = await serveUdp((bytes, from, answer) =>
    answer(Buffer.concat([Buffer.from(`${from.port}:`), bytes])),
  );
  const vm = await daemon.client.createVm({ image: IMAGE, ports: [udp(0, server.port)] });
  using one = await udpClient(hostPort(vm));
  using other = await udpClient(hostPort(vm));
  const large = Buffer.alloc(60_000, "u");
  for (const client of [one, other]) {
    client.send("a");
    client.send(large);
  }
  const answers = await Promise.all([one.next(), one.next(), other.next(), other.next()]);
  const texts = answers.map((answer) => answer.toString().split(":"));
  expect(texts.map(([, text]) => text?.length)).toEqual([1, 60_000, 1, 60_000]);
  const peers = texts.map(([peer]) => peer);
  expect([peers[0] === peers[1], peers[2] === peers[3], peers[0] === peers[2]]).toEqual([true, true, false]);
});

test("a thousand connections at once are carried, and one too many is reset while the VM is still served", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  const { MAX_CONNECTIONS } = await import("../../src/network/published/limits.ts");
  await using server = await serveTcp((socket) => void socket.on("data", (bytes) => socket.write(bytes)));
  const vm = await client.createVm({ name: "web", image: IMAGE, ports: [tcp(0, server.port)] });
  const sockets: Socket[] = [];
  const hello = async (): Promise<void> => {
    const socket = connect({ port: hostPort(vm), host: "127.0.0.1" });
    sockets.push(socket);
    socket.write("hello");
    await once(socket, "data");
  };
  const BATCH = 120;
  for (let open = 0; open < MAX_CONNECTIONS; open += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, MAX_CONNECTIONS - open) }, hello));
  }
  expect(await fateOf(hostPort(vm))).toBe("ECONNRESET");
  expect((await client.exec("web", { argv: ["true"] }).exit)?.exitCode).toBe(0);
  for (const socket of sockets) socket.destroy();
});
