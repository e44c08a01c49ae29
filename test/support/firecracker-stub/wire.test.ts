/** The stub's HTTP, byte for byte as Firecracker 1.17 wrote it. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createCallFiles } from "./call-files.ts";
import { openWire, startApi, startStub } from "./client.ts";
import { findRealPrograms } from "./real-programs.ts";

const HEAD = "Server: Firecracker API\r\nConnection: keep-alive\r\n";
const DROPPED = "\\nAll previous unanswered requests will be dropped.";

/** What is sent, and what comes back; the program's version is left open. */
const EXCHANGES: readonly (readonly [string, string, RegExp])[] = [
  [
    "a question",
    "GET /version HTTP/1.1\r\n\r\n",
    new RegExp(
      `^HTTP/1\\.1 200 \r\n${HEAD}Content-Type: application/json\r\nContent-Length: \\d+\r\n\r\n{"firecracker_version":"[^"]+"}$`,
    ),
  ],
  [
    "an order, answered without a body or a length",
    "PUT /entropy HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    new RegExp(`^HTTP/1\\.1 204 \r\n${HEAD}\r\n$`),
  ],
  [
    "several at once, answered in their order",
    "GET / HTTP/1.1\r\n\r\nPUT /entropy HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET /version HTTP/1.1\r\n\r\n",
    /^HTTP\/1\.1 200 [^]*"app_name":"Firecracker"}HTTP\/1\.1 204 [^]*\r\n\r\nHTTP\/1\.1 200 [^]*firecracker_version[^]*}$/,
  ],
  ["an old version of HTTP", "GET / HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 200 [^]*}$/],
  ["a path with a host", "GET http://localhost/version HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 200 [^]*}$/],
  [
    "a client that waits before its body",
    "PUT /entropy HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    new RegExp(`^HTTP/1\\.1 100 \r\n${HEAD}\r\n$`),
  ],
];

const MISUSES: readonly (readonly [string, string, RegExp])[] = [
  ["no HTTP", "BAD\r\n\r\n", malformed("Invalid request\\.")],
  ["a method that it does not know", "POST / HTTP/1.1\r\n\r\n", malformed("Invalid HTTP Method: [^\\n]*")],
  ["a version that it does not know", "GET / HTTP/2.0\r\n\r\n", malformed("Invalid HTTP Version: [^\\n]*")],
  ["a header without a colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", malformed("Invalid header\\.[^\\n]*")],
  [
    "a length that is none",
    "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    malformed("Invalid header\\.[^\\n]*x"),
  ],
  [
    "a body above its limit",
    "PUT /vm HTTP/1.1\r\nContent-Length: 60000\r\n\r\n",
    malformed("Request payload with size 60000 is larger than the limit of 51200 allowed by server\\."),
  ],
  [
    "a body in chunks",
    "PUT /entropy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    malformed("Invalid request\\."),
  ],
  ["a request line without an end", `GET /${"x".repeat(2000)}`, malformed("Invalid request\\.")],
];

describe("the stub's HTTP", () => {
  test.each(EXCHANGES)("understands %s", async (_, sent, answer) => {
    await using stub = await startStub();
    using wire = await openWire(stub.socketPath);
    wire.socket.write(sent);
    await wire.heard(answer);
  });

  test.each(MISUSES)(
    "refuses %s, in a body that is no JSON, and stays connected",
    async (_, sent, answer) => {
      await using stub = await startStub();
      using wire = await openWire(stub.socketPath);
      wire.socket.write(sent);
      await wire.heard(answer);
      wire.socket.write("GET / HTTP/1.1\r\n\r\n");
      await wire.heard(/"app_name":"Firecracker"}$/);
      expect(stub.stub.expectViolations()).not.toEqual([]);
    },
  );

  test("turns an eleventh connection away", async () => {
    await using stub = await startStub();
    await using wires = new AsyncDisposableStack();
    for (let count = 0; count < 10; count++) wires.use(await openWire(stub.socketPath));
    using one = await openWire(stub.socketPath);
    await one.heard(/^HTTP\/1\.1 503\r\n[^]*Connection: close\r\n[^]*Too many open connections/);
    await one.closed;
  });
});

const real = findRealPrograms("the real Firecracker's HTTP");

describe.skipIf(real === undefined)("the real Firecracker's HTTP", () => {
  test.each([...EXCHANGES, ...MISUSES])("is the stub's for %s", async (_, sent, answer) => {
    if (real === undefined) throw new Error("there is no Firecracker");
    using files = createCallFiles();
    await using api = await startApi(real.bin, {
      socketPath: join(files.dir, "api"),
      args: ["--no-seccomp"],
    });
    using wire = await openWire(api.socketPath);
    wire.socket.write(sent);
    await wire.heard(answer);
  });
});

function malformed(reason: string): RegExp {
  return new RegExp(
    `^HTTP/1\\.1 400 \r\n${HEAD}Content-Type: application/json\r\nContent-Length: \\d+\r\n\r\n{ "error": "${reason}${DROPPED}" }`,
  );
}
