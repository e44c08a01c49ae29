/** The stub's simulated guest: serial port, vsock, power, and what a pause does to them. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { findByCommandLine } from "../../../src/lib/process-identity.ts";
import { watchProcess } from "../../../src/lib/process-watch.ts";
import { AGENT } from "../agent.ts";
import { createCallFiles } from "./call-files.ts";
import { openWire, type RunningStub, startStub } from "./client.ts";
import type { StubOptions } from "./create.ts";

describe("a stub's guest", () => {
  test("answers behind CONNECT, on the port where it listens", async () => {
    using files = createCallFiles();
    await using stub = await booted(files.dir, { port: 1024 });
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write("CONNECT 1024\nhello");
    expect(await wire.heard(/hello/)).toBe("OK 1073741824\nhello");
    using other = await openWire(join(files.dir, "vsock"));
    other.socket.write("CONNECT 52\n");
    await other.closed;
    const outcomes = stub.stub.records().flatMap((record) => (record.kind === "vsock" ? [record] : []));
    expect(outcomes).toMatchObject([
      { port: 1024, outcome: "ok" },
      { port: 52, outcome: "refused" },
    ]);
  });

  test("hangs up on what is no CONNECT", async () => {
    using files = createCallFiles();
    await using _stub = await booted(files.dir);
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write("GET / HTTP/1.1\r\n\r\n".padEnd(64, "x"));
    await wire.closed;
  });

  test("hears nothing before the start", async () => {
    using files = createCallFiles();
    await using stub = await startStub();
    await stub.call("PUT", "/vsock", { guest_cid: 3, uds_path: join(files.dir, "vsock") });
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write("CONNECT 1024\n");
    await boot(stub, files.dir);
    await wire.heard(/^OK \d+\n$/);
    expect(stub.stub.records().map((record) => record.kind)).toEqual([
      "start",
      "listening",
      "request",
      "request",
      "request",
      "vsock",
    ]);
  });

  test("says nothing while it is paused", async () => {
    using files = createCallFiles();
    await using stub = await booted(files.dir);
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write("CONNECT 1\n");
    await wire.heard(/OK/);
    await stub.call("PATCH", "/vm", { state: "Paused" });
    wire.socket.write("late");
    using another = await openWire(join(files.dir, "vsock"));
    another.socket.write("CONNECT 2\n");
    await stub.call("GET", "/");
    await stub.call("GET", "/");
    expect(stub.stub.records().filter((record) => record.kind === "vsock")).toHaveLength(1);
    await stub.call("PATCH", "/vm", { state: "Resumed" });
    await wire.heard(/late/);
    await another.heard(/OK/);
  });

  test("writes to the serial file, or to the standard output", async () => {
    using files = createCallFiles();
    await using plain = await booted(files.dir);
    await plain.call("PUT", "/actions", { action_type: "SendCtrlAltDel" });
    await plain.exited;
    expect(plain.output()).toContain("stub guest: booting");
    using more = createCallFiles();
    await using stub = await startStub();
    await stub.call("PUT", "/serial", { serial_out_path: join(more.dir, "serial") });
    expect(existsSync(join(more.dir, "serial"))).toBe(false);
    await boot(stub, more.dir);
    expect(readFileSync(join(more.dir, "serial"), "utf8")).toBe("stub guest: booting\r\n");
    expect(stub.output()).not.toContain("stub guest");
  });

  test("powers off on ctrl-alt-del, and the process ends well, its sockets left behind", async () => {
    using files = createCallFiles();
    await using stub = await booted(files.dir);
    expect((await stub.call("PUT", "/actions", { action_type: "SendCtrlAltDel" })).status).toBe(204);
    expect(await stub.exited).toEqual({ code: 0, signal: null });
    expect([stub.socketPath, join(files.dir, "vsock")].map((path) => existsSync(path))).toEqual([true, true]);
  });

  test("that quits ends the process after its start", async () => {
    using files = createCallFiles();
    await using stub = await booted(files.dir, { guest: "quit" });
    expect(await stub.exited).toEqual({ code: 0, signal: null });
  });

  test("can be the real agent, which ends with the stub", async () => {
    using files = createCallFiles();
    await using stub = await booted(files.dir, { guest: "agent", agentPath: AGENT });
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write(Buffer.concat([Buffer.from("CONNECT 1024\n"), createSync()]));
    await wire.heard(/^OK \d+\n[^]{8}0123456789abcdef/);
    const [agent] = findByCommandLine(join(stub.stub.dir, `a${stub.child.pid}`));
    if (agent === undefined) throw new Error("the agent does not run");
    const watch = await watchProcess(agent);
    stub.child.kill("SIGKILL");
    await wire.closed;
    await watch?.ended;
  });
});

describe("a stub's guest that knocks", () => {
  test("dials the host's port when it listens", async () => {
    using files = createCallFiles();
    await using host = await createHost(join(files.dir, "vsock_1024"));
    await using _stub = await booted(files.dir, { port: 1024, knocks: true });
    await host.dialled;
  });

  test("does so after the refusals, not before", async () => {
    using files = createCallFiles();
    await using host = await createHost(join(files.dir, "vsock_1024"));
    await using stub = await booted(files.dir, {
      port: 1024,
      knocks: true,
      vsock: { kind: "refuse", count: 1 },
    });
    expect(stub.stub.records().filter((record) => record.kind === "knock")).toEqual([]);
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write("CONNECT 1024\n");
    await wire.closed;
    await host.dialled;
  });
});

describe("a stub's vsock that is told to", () => {
  test("refuse hangs up, on the first ones only if so told", async () => {
    using files = createCallFiles();
    await using _stub = await booted(files.dir, { vsock: { kind: "refuse", count: 1 } });
    using first = await openWire(join(files.dir, "vsock"));
    first.socket.write("CONNECT 1\n");
    await first.closed;
    using second = await openWire(join(files.dir, "vsock"));
    second.socket.write("CONNECT 1\n");
    await second.heard(/OK/);
  });

  test("talk garbage does not say OK", async () => {
    using files = createCallFiles();
    await using _stub = await booted(files.dir, { vsock: { kind: "garbage" } });
    using wire = await openWire(join(files.dir, "vsock"));
    wire.socket.write("CONNECT 1\n");
    expect(await wire.heard(/\n$/)).not.toContain("OK");
  });
});

async function booted(dir: string, options: StubOptions = {}): Promise<RunningStub> {
  const stub = await startStub(options);
  await stub.call("PUT", "/vsock", { guest_cid: 3, uds_path: join(dir, "vsock") });
  await boot(stub, dir);
  return stub;
}

async function createHost(path: string): Promise<AsyncDisposable & { readonly dialled: Promise<void> }> {
  const dialled = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.destroy();
    dialled.resolve();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    dialled: dialled.promise,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function boot(stub: RunningStub, dir: string): Promise<void> {
  await stub.call("PUT", "/boot-source", { kernel_image_path: join(dir, "kernel") });
  expect((await stub.call("PUT", "/actions", { action_type: "InstanceStart" })).status).toBe(204);
}

/** SYNC with the nonce 0123456789abcdef, which the agent sends back in its ACK (protocol/README.md, section 2). */
function createSync(): Buffer {
  const sync = Buffer.alloc(8 + 18 + 4);
  sync.writeUInt32LE(1 | (18 << 8), 0);
  sync.write("0123456789abcdef", 8);
  sync.writeUInt16LE(1, 24);
  sync.write("BNG1", 26);
  return sync;
}
