/** Readers of consoles whose VMs go: a real WebSocket, and the directory of a VM that is none. */
import { expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBunTransport } from "../sdk/transport-bun.ts";
import { ConsoleSession } from "./console-session.ts";
import type { SocketData } from "./router.ts";

interface Bench extends AsyncDisposable {
  /** The VM's directory. */
  readonly dir: string;
  /** Connects one reader, and resolves when it is served. */
  readonly connect: () => Promise<void>;
  /** What the reader has got when its connection ends, and how that ends. */
  readonly read: Promise<{ readonly text: string; readonly reason: string }>;
}

async function createBench({ beforeOpen = (): void => undefined } = {}): Promise<Bench> {
  const home = mkdtempSync(join(tmpdir(), "banger-console-"));
  const dir = join(home, "vm");
  mkdirSync(dir);
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<{ text: string; reason: string }>();
  const path = join(home, "s");
  const server = Bun.serve<SocketData>({
    unix: path,
    fetch: (request, self) => {
      const data = { session: new ConsoleSession(join(dir, "console.log")), operation: "op" };
      return self.upgrade(request, { data }) ? undefined : new Response(null, { status: 400 });
    },
    websocket: {
      open: (socket) => {
        beforeOpen();
        socket.data.session.open(socket);
        opened.resolve();
      },
      message: () => undefined,
      drain: (socket) => socket.data.session.drain?.(),
      close: (socket) => socket.data.session.close(),
    },
  });
  let text = "";
  return {
    dir,
    connect: async () => {
      createBunTransport(path).connect("/", {
        onOpen: () => undefined,
        onText: () => undefined,
        onBytes: (bytes) => {
          text += Buffer.from(bytes).toString();
        },
        onClose: (reason) => ended.resolve({ text, reason }),
      });
      await opened.promise;
    },
    read: ended.promise,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

test("a reader gets all of a console, and its end, when the VM is deleted", async () => {
  await using bench = await createBench();
  const log = join(bench.dir, "console.log");
  writeFileSync(log, "one\n");
  await bench.connect();
  appendFileSync(log, "two\n".repeat(100_000));
  rmSync(bench.dir, { recursive: true });
  const { text, reason } = await bench.read;
  expect(reason).toBe("code 1000");
  expect(text.length).toBe(4 + 400_000);
});

test("a reader of a VM that was never started sees the end, too", async () => {
  await using bench = await createBench();
  await bench.connect();
  rmSync(bench.dir, { recursive: true });
  expect(await bench.read).toEqual({ text: "", reason: "code 1000" });
});

test("a reader who comes when the VM has just been deleted is sent away", async () => {
  let dir = "";
  await using bench = await createBench({ beforeOpen: () => rmSync(dir, { recursive: true }) });
  dir = bench.dir;
  await bench.connect();
  expect(await bench.read).toEqual({ text: "", reason: "code 1000" });
});
