/** Connections through client, server and the real agent (whose ports are this host's): both ways, half-closed, at the reader's pace. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { forwardFromGuest, forwardToGuest } from "../../src/sdk/forward.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

async function guestOf(daemon: TestDaemon) {
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  return daemon.client.files("web");
}

async function serve(
  onSocket: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer({ allowHalfOpen: true }, onSocket).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => await new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Says back, in one piece, what it was told until its end. */
function parrot(socket: Socket): void {
  const heard: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => heard.push(bytes));
  socket.on("end", () => socket.end(Buffer.concat([...heard, Buffer.from("!")])));
}

async function talk(port: number, words: Uint8Array): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const heard: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => heard.push(bytes));
  const ended = once(socket, "end");
  socket.end(words);
  await ended;
  return Buffer.concat(heard);
}

const LARGE = Buffer.alloc(5_000_000, "forward ");

test("a port of the guest is reached from the host, and each side ends by itself", async () => {
  await using daemon = await createTestDaemon();
  const guest = await guestOf(daemon);
  await using server = await serve(parrot);
  await using forward = await forwardToGuest(
    guest,
    { host: "127.0.0.1", port: 0 },
    { target: { port: server.port } },
  );
  const answers = await Promise.all(
    [Buffer.from("one"), LARGE, Buffer.alloc(0)].map((words) => talk(forward.port, words)),
  );
  expect(answers.map((answer) => answer.length)).toEqual([4, LARGE.length + 1, 1]);
  expect(answers[1]?.subarray(0, -1).equals(LARGE)).toBe(true);
});

test("a port of the host is reached from the guest", async () => {
  await using daemon = await createTestDaemon();
  const guest = await guestOf(daemon);
  await using server = await serve(parrot);
  await using forward = await forwardFromGuest(
    guest,
    { port: 0 },
    { target: { host: "127.0.0.1", port: server.port } },
  );
  expect((await talk(forward.port, LARGE)).length).toBe(LARGE.length + 1);
  const taken = await refusal(
    forwardFromGuest(guest, { port: forward.port }, { target: { host: "127.0.0.1", port: 1 } }),
    "failed_precondition",
  );
  expect(taken.message).toContain(String(forward.port));
});

test("a port where nobody listens in the guest ends the connection and is told", async () => {
  await using daemon = await createTestDaemon();
  const guest = await guestOf(daemon);
  const { port } = await serve(parrot).then(async (server) => {
    await server[Symbol.asyncDispose]();
    return server;
  });
  const told = Promise.withResolvers<string>();
  await using forward = await forwardToGuest(
    guest,
    { host: "127.0.0.1", port: 0 },
    { target: { port }, onProblem: (error) => told.resolve(error.message) },
  );
  const socket = connect({ port: forward.port, host: "127.0.0.1" }).on("error", () => undefined);
  await once(socket, "close");
  expect(await told.promise).toContain(`nobody listens on localhost:${port}`);
  await refusal(
    forwardToGuest(guest, { host: "127.0.0.1", port: forward.port }, { target: { port } }),
    "already_exists",
  );
});
