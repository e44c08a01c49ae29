import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BangerError } from "../../model/errors.ts";
import { createApiClient } from "./api-client.ts";

const OK = "HTTP/1.1 204 \r\nServer: x\r\n\r\n";

/** A Unix socket that does as it is told with what it hears. */
class Peer implements AsyncDisposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "fc-api-"));
  readonly path: string = join(this.dir, "api.sock");
  connections = 0;
  heard = "";
  /** Resolves when the first connection has ended on both sides. */
  readonly hungUp: Promise<void>;
  private readonly server: Server;

  private constructor(act: (socket: Socket, peer: Peer) => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.hungUp = promise;
    this.server = createServer((socket) => {
      this.connections += 1;
      socket.on("close", () => resolve());
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        this.heard += chunk.toString();
        act(socket, this);
      });
    });
  }

  static async listen(act: (socket: Socket, peer: Peer) => void): Promise<Peer> {
    const peer = new Peer(act);
    await new Promise<void>((resolve) => peer.server.listen(peer.path, resolve));
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve));
    rmSync(this.dir, { recursive: true });
  }
}

async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  return await promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => BangerError.from(error),
  );
}

describe("the API client", () => {
  test("sends requests without waiting for answers, on one connection", async () => {
    const requests = [1, 2, 3].map((n) => ({ method: "PUT" as const, path: `/x${n}`, body: { n } }));
    // Nothing is answered before everything was heard: a client that waited would wait for ever.
    await using peer = await Peer.listen((socket, { heard }) => {
      if (heard.includes('{"n":3}')) socket.write(OK.repeat(3));
    });
    using client = createApiClient(peer.path);
    await client.sendAll(requests);
    expect(peer.connections).toBe(1);
    expect(peer.heard.match(/PUT \/x[123] HTTP\/1\.1\r\n/g)).toHaveLength(3);
  });

  test("keeps its connection for the next request, and makes one anew when it has ended", async () => {
    let answered = 0;
    await using peer = await Peer.listen((socket, { heard }) => {
      const asked = heard.match(/ HTTP\/1\.1\r\n/g)?.length ?? 0;
      socket.write(OK.repeat(asked - answered));
      answered = asked;
      if (heard.includes("GET /last ") && !heard.includes("GET /anew ")) socket.end();
    });
    using client = createApiClient(peer.path);
    await Promise.all([
      client.send({ method: "GET", path: "/1" }),
      client.send({ method: "GET", path: "/2" }),
    ]);
    await client.send({ method: "GET", path: "/last" });
    expect(peer.connections).toBe(1);
    await peer.hungUp;
    await client.send({ method: "GET", path: "/anew" });
    expect(peer.connections).toBe(2);
  });

  test("gives up on an answer at its deadline, and on all behind it", async () => {
    await using peer = await Peer.listen(() => undefined);
    using client = createApiClient(peer.path);
    const first = failureOf(client.send({ method: "GET", path: "/slow" }, { timeoutMs: 50 }));
    const second = failureOf(client.send({ method: "GET", path: "/behind" }));
    expect(await first).toMatchObject({
      code: "timeout",
      message: "Firecracker did not answer GET /slow within 50 ms",
    });
    expect((await second).code).toBe("timeout");
  });

  test("says in Firecracker's own words what was refused, without control characters", async () => {
    const body = JSON.stringify({ fault_message: "no\u001b[31m such\nfile" });
    await using peer = await Peer.listen((socket) =>
      socket.write(`HTTP/1.1 400 \r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    );
    using client = createApiClient(peer.path);
    expect((await failureOf(client.send({ method: "PUT", path: "/x", body: {} }))).message).toBe(
      "Firecracker refused PUT /x: no [31m such file",
    );
  });

  test("says when nobody listens, and follows no symbolic link to somebody else", async () => {
    await using peer = await Peer.listen((socket) => socket.write(OK));
    const link = join(peer.dir, "link.sock");
    symlinkSync(peer.path, link);
    writeFileSync(join(peer.dir, "file"), "");
    for (const path of [link, join(peer.dir, "file"), join(peer.dir, "nothing")]) {
      using client = createApiClient(path);
      expect((await failureOf(client.send({ method: "GET", path: "/" }))).code).toBe("unavailable");
    }
    expect(peer.connections).toBe(0);
  });

  test("reaches a socket whose path is longer than an address", async () => {
    await using peer = await Peer.listen((socket) => socket.write(OK));
    using client = createApiClient(`${peer.dir}/${"./".repeat(80)}api.sock`);
    await client.send({ method: "GET", path: "/" });
    expect(peer.connections).toBe(1);
  });

  test("ends what is under way when it is disposed", async () => {
    await using peer = await Peer.listen(() => undefined);
    const client = createApiClient(peer.path);
    const asked = failureOf(client.send({ method: "GET", path: "/" }));
    await client.connect();
    client[Symbol.dispose]();
    client[Symbol.dispose]();
    expect((await asked).code).toBe("unavailable");
    expect((await failureOf(client.send({ method: "GET", path: "/" }))).code).toBe("unavailable");
  });
});
