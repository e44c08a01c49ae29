/** Each way in which a stub can be told to fail. */
import { describe, expect, test } from "bun:test";
import { watch } from "node:fs";
import { join } from "node:path";
import { createCallFiles } from "./call-files.ts";
import { openWire, type RunningStub, startApi, startStub } from "./client.ts";
import { createFirecrackerStub, type FirecrackerStub } from "./create.ts";
import type { Misdeed, StubRecord } from "./plan.ts";

const SHAPE = JSON.stringify({ vcpu_count: 2, mem_size_mib: 64 });
const PUT = `PUT /machine-config HTTP/1.1\r\nContent-Length: ${SHAPE.length}\r\n\r\n${SHAPE}`;

describe("a stub that is told to", () => {
  test("exit at once leaves its words and its code", async () => {
    await using stub = createFirecrackerStub({ start: { kind: "exit", code: 7, words: "cannot go on" } });
    const failure = await startApi(stub.bin, { socketPath: join(stub.dir, "api") }).catch(String);
    expect(failure).toContain("ended with 7: cannot go on");
  });

  test("refuse uses the test's words, and applies nothing", async () => {
    await using stub = await faulty({ kind: "refuse", message: "not today" });
    expect(await stub.call("PUT", "/machine-config", SHAPE)).toMatchObject({
      status: 400,
      message: "not today",
    });
    expect((await stub.call("GET", "/machine-config")).body).toMatchObject({ vcpu_count: 1 });
  });

  test("fail the n-th request fails only that", async () => {
    await using stub = await startStub({
      faults: [{ on: "*", nth: 2, do: { kind: "refuse", message: "the second" } }],
    });
    const statuses = [];
    for (let count = 0; count < 3; count++) statuses.push((await stub.call("GET", "/")).status);
    expect(statuses).toEqual([200, 400, 200]);
  });

  test("die ends without an answer", async () => {
    await using stub = await faulty({ kind: "die", code: 9, words: "last words" });
    using wire = await openWire(stub.socketPath);
    wire.socket.write(PUT);
    await wire.closed;
    expect(await stub.exited).toMatchObject({ code: 9 });
    expect(stub.output()).toContain("last words");
    expect(lastRequest(stub)).not.toHaveProperty("status");
  });

  test("die afterwards answers first", async () => {
    await using stub = await faulty({ kind: "die", after: true });
    expect((await stub.call("PUT", "/machine-config", SHAPE)).status).toBe(204);
    expect(await stub.exited).toMatchObject({ code: 1 });
  });

  test("be slow answers late", async () => {
    await using stub = await faulty({ kind: "slow", ms: 30 });
    await stub.call("PUT", "/machine-config", SHAPE);
    const request = lastRequest(stub);
    expect(request.endedAtMs - request.beganAtMs).toBeGreaterThanOrEqual(29);
  });

  test("be silent applies the request and does not answer", async () => {
    await using stub = await faulty({ kind: "silent" });
    using wire = await openWire(stub.socketPath);
    wire.socket.write(`${PUT}GET /machine-config HTTP/1.1\r\n\r\n`);
    expect(await wire.heard(/}$/)).toMatch(/^HTTP\/1\.1 200 [^]*"vcpu_count":2/);
  });

  test("cut the answer hangs up in its middle", async () => {
    await using stub = await faulty({ kind: "cut", bytes: 12 });
    using wire = await openWire(stub.socketPath);
    wire.socket.write(PUT);
    await wire.closed;
    expect(await wire.heard(/./)).toBe("HTTP/1.1 204");
  });

  test("answer raw sends those bytes", async () => {
    await using stub = await faulty({ kind: "raw", text: "SPAM\r\n" });
    using wire = await openWire(stub.socketPath);
    wire.socket.write(PUT);
    expect(await wire.heard(/\n$/)).toBe("SPAM\r\n");
  });

  test("answer with a body of the test's sends it as HTTP", async () => {
    await using stub = await faulty({ kind: "body", text: "{", status: 200 });
    using wire = await openWire(stub.socketPath);
    wire.socket.write(PUT);
    expect(await wire.heard(/{$/)).toMatch(/^HTTP\/1\.1 200 [^]*Content-Length: 1\r\n\r\n{$/);
  });

  test("lie says yes and does nothing", async () => {
    await using stub = await faulty({ kind: "lie" });
    expect((await stub.call("PUT", "/machine-config", SHAPE)).status).toBe(204);
    expect((await stub.call("GET", "/machine-config")).body).toMatchObject({ vcpu_count: 1 });
  });

  test("be huge sends as much as it was told to", async () => {
    await using stub = await faulty({ kind: "huge", bytes: 3_000_000 });
    const answer = await stub.call("PUT", "/machine-config", SHAPE);
    expect(answer.body).toBe("x".repeat(3_000_000));
  });
});

test("a stub without a socket lives without one", async () => {
  await using stub = createFirecrackerStub({ start: { kind: "no-socket" } });
  const stopped = startApi(stub.bin, { socketPath: join(stub.dir, "api") }).catch(String);
  const pid = await begun(stub);
  expect(stub.records().map((record) => record.kind)).toEqual(["start"]);
  process.kill(pid, "SIGKILL");
  expect(await stopped).toContain("ended with null");
});

test("a socket that is already there ends a stub, as it ends the real one", async () => {
  using files = createCallFiles();
  await using stub = createFirecrackerStub();
  const failure = await startApi(stub.bin, { socketPath: join(files.dir, "disk") }).catch(String);
  expect(failure).toContain(`ended with 1: `);
  expect(failure).toContain(`Error: RunWithApi(FailedToBindSocket("${files.dir}/disk"))`);
});

test("a command line that is none ends a stub, and is written down", async () => {
  await using stub = createFirecrackerStub();
  const start = (args: readonly string[]): Promise<string> =>
    startApi(stub.bin, { socketPath: join(stub.dir, "api"), args }).then(() => "started", String);
  expect(await start(["--nope"])).toContain('153: Error: ParseArguments(UnexpectedArgument("nope"))');
  expect(await start(["--id"])).toContain('153: Error: ParseArguments(MissingValue("id"))');
  expect(await start(["--id", "a", "--id", "b"])).toContain('DuplicateArgument("id")');
  expect(await start(["--no-seccomp", "--seccomp-filter", "x"])).toContain("ForbiddenArgument");
  expect(await start(["--id", "a b"])).toContain("134: Invalid instance ID: InvalidChar(' ', 1)");
  expect(stub.expectViolations()).toHaveLength(5);
});

async function faulty(misdeed: Misdeed): Promise<RunningStub> {
  return await startStub({ faults: [{ on: "PUT /machine-config", do: misdeed }] });
}

function lastRequest(stub: RunningStub): Extract<StubRecord, { kind: "request" }> {
  const request = stub.stub.requests().at(-1);
  if (request === undefined) throw new Error("nothing was asked");
  return request;
}

/** The pid of the first process, as soon as it has written that it has begun. */
async function begun(stub: FirecrackerStub): Promise<number> {
  const found = Promise.withResolvers<number>();
  const check = (): void => {
    const [first] = stub.records();
    if (first !== undefined) found.resolve(first.pid);
  };
  const watcher = watch(stub.dir, check);
  try {
    check();
    return await found.promise;
  } finally {
    watcher.close();
  }
}
