import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { BangerError } from "../../model/errors.ts";
import { connectQmp, type QmpEvent } from "./qmp.ts";
import { MAX_QMP_LINE_BYTES, QmpLines } from "./qmp-lines.ts";
import { parseQmpMessage } from "./qmp-message.ts";

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}\r\n';

interface Request {
  readonly execute: string;
  readonly id: number;
}

interface StubServer extends AsyncDisposable {
  readonly path: string;
}

/** A QMP server that greets and answers each request with what `answer` returns; undefined is no answer. */
async function serveQmp(
  answer: (request: Request, socket: Socket) => string | undefined,
  greeting: string = GREETING,
): Promise<StubServer> {
  const directory = mkdtempSync(join(tmpdir(), "banger-qmp-"));
  const path = join(directory, "qmp.sock");
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    // A client that has heard enough hangs up without reading the rest.
    socket.on("error", () => socket.destroy());
    if (greeting !== "") socket.write(greeting);
    const lines = new QmpLines();
    socket.on("data", (chunk: Uint8Array) => {
      for (const line of lines.push(chunk)) {
        const reply = answer(JSON.parse(line) as Request, socket);
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true });
    },
  };
}

const done = ({ id }: Request, value: unknown = {}): string => `${JSON.stringify({ return: value, id })}\r\n`;

/** Answers the negotiation, and everything after it as told. */
const afterNegotiation =
  (answer: (request: Request, socket: Socket) => string | undefined) =>
  (request: Request, socket: Socket): string | undefined =>
    request.execute === "qmp_capabilities" ? done(request) : answer(request, socket);

async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  return await promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => BangerError.from(error),
  );
}

describe("connectQmp()", () => {
  test("negotiates and knows the version", async () => {
    await using server = await serveQmp((request) => done(request));
    using qmp = await connectQmp(server.path);
    expect(qmp.version).toBe("7.2.22");
  });

  test("is unavailable when nobody listens", async () => {
    expect((await failureOf(connectQmp("/nonexistent/qmp.sock"))).code).toBe("unavailable");
  });

  test("times out when nobody greets", async () => {
    await using server = await serveQmp((request) => done(request), "");
    expect((await failureOf(connectQmp(server.path, { timeoutMs: 20 }))).code).toBe("timeout");
  });

  test.each(["not json\r\n", "[]\r\n", "42\r\n", '{"hello": 1}\r\n', '{"return": {}}\r\n', "\xff\r\n"])(
    "fails on a greeting of %j",
    async (greeting) => {
      await using server = await serveQmp((request) => done(request), greeting);
      expect((await failureOf(connectQmp(server.path))).code).toBe("internal");
    },
  );

  test("fails on a line without an end", async () => {
    await using server = await serveQmp((request) => done(request), "x".repeat(MAX_QMP_LINE_BYTES + 1));
    expect((await failureOf(connectQmp(server.path))).message).toContain("more than 1048576 bytes");
  });
});

describe("execute()", () => {
  test("gives each reply to its request, in whatever order", async () => {
    const held: Request[] = [];
    await using server = await serveQmp(
      afterNegotiation((request, socket) => {
        held.push(request);
        if (held.length < 2) return undefined;
        for (const each of held.toReversed()) socket.write(done(each, each.execute));
        return undefined;
      }),
    );
    using qmp = await connectQmp(server.path);
    expect(await Promise.all([qmp.execute("one"), qmp.execute("two")])).toEqual(["one", "two"]);
  });

  test("says what QEMU refused", async () => {
    await using server = await serveQmp(
      afterNegotiation(
        ({ id }) => `{"error": {"class": "CommandNotFound", "desc": "no such"}, "id": ${id}}\n`,
      ),
    );
    using qmp = await connectQmp(server.path);
    const error = await failureOf(qmp.execute("nonesuch"));
    expect(error.code).toBe("failed_precondition");
    expect(error.message).toBe("QEMU refused: no such");
    expect(error.details).toEqual({ class: "CommandNotFound" });
  });

  test("times out alone, and the connection lives on", async () => {
    await using server = await serveQmp(
      afterNegotiation((request) => (request.execute === "slow" ? undefined : done(request, 1))),
    );
    using qmp = await connectQmp(server.path, { timeoutMs: 1_000 });
    expect((await failureOf(qmp.execute("slow"))).code).toBe("timeout");
    expect(await qmp.execute("fast")).toBe(1);
  });

  test("is unavailable when QEMU hangs up, then and afterwards", async () => {
    await using server = await serveQmp(
      afterNegotiation((_request, socket) => {
        socket.destroy();
        return undefined;
      }),
    );
    using qmp = await connectQmp(server.path);
    expect((await failureOf(qmp.execute("quit"))).code).toBe("unavailable");
    expect((await failureOf(qmp.execute("more"))).code).toBe("unavailable");
  });

  test("fails at a malformed reply instead of waiting for a good one", async () => {
    await using server = await serveQmp(afterNegotiation(() => "}{\r\n"));
    using qmp = await connectQmp(server.path);
    expect((await failureOf(qmp.execute("stop"))).code).toBe("internal");
  });
});

test("events are handed on as they come", async () => {
  const events: QmpEvent[] = [];
  await using server = await serveQmp(
    afterNegotiation(
      (request) => `{"event":"STOP"}\r\n{"event":"SHUTDOWN","data":{"guest":true}}\r\n${done(request)}`,
    ),
  );
  using qmp = await connectQmp(server.path, { onEvent: (event) => events.push(event) });
  await qmp.execute("stop");
  expect(events).toEqual([
    { name: "STOP", data: {} },
    { name: "SHUTDOWN", data: { guest: true } },
  ]);
});

test("QmpLines finds the same lines however the bytes are cut", () => {
  const line = fc.string({ unit: fc.constantFrom("a", "{", "é", " ", "\t") });
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 7 })), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((each) => `${each}\n`).join(""));
      const splitter = new QmpLines();
      const found: string[] = [];
      let offset = 0;
      for (const cut of cuts) {
        found.push(...splitter.push(bytes.subarray(offset, offset + cut)));
        offset = Math.min(bytes.byteLength, offset + cut);
      }
      found.push(...splitter.push(bytes.subarray(offset)));
      expect(found).toEqual(lines.map((each) => each.trimEnd()));
    }),
  );
});

test("parseQmpMessage() returns a message or throws a BangerError, whatever it is given", () => {
  const keys = fc.constantFrom("QMP", "return", "error", "event", "id", "data", "class", "version", "qemu");
  const values = fc.letrec((tie) => ({
    value: fc.oneof(fc.jsonValue(), fc.dictionary(keys, tie("value"))),
  })).value;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        values.map((value) => JSON.stringify(value)),
      ),
      (line) => {
        try {
          expect(["greeting", "return", "error", "event"]).toContain(parseQmpMessage(line).kind);
        } catch (error) {
          expect(error).toBeInstanceOf(BangerError);
        }
      },
    ),
  );
});
