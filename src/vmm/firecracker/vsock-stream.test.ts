import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKnocks, listenForKnocks } from "./knocks.ts";
import { openVsockStream } from "./vsock-stream.ts";

/** Firecracker's vsock socket; `serve` gets each connection once its CONNECT was heard. */
class Vsock implements AsyncDisposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "fc-vsock-"));
  readonly socketPath: string = join(this.dir, "v.sock");
  readonly asked: string[] = [];
  private readonly server: Server;

  private constructor(serve: (socket: Socket, nth: number) => void) {
    this.server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (chunk) => {
        this.asked.push(chunk.toString());
        serve(socket, this.asked.length);
      });
    });
  }

  static async listen(serve: (socket: Socket, nth: number) => void): Promise<Vsock> {
    const vsock = new Vsock(serve);
    await new Promise<void>((resolve) => vsock.server.listen(vsock.socketPath, resolve));
    return vsock;
  }

  /** Firecracker dies. */
  async close(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    rmSync(this.dir, { recursive: true });
  }
}

describe("a vsock stream", () => {
  test("asks for the port, and carries what follows the greeting, however it is cut", async () => {
    for (const parts of [["OK 1073741824\nhello"], ["O", "K 1\n", "hello"], ["OK 1", "\nhel", "lo"]]) {
      await using vsock = await Vsock.listen((socket) => {
        void (async () => {
          for (const part of parts) await new Promise<void>((done) => socket.write(part, () => done()));
        })();
      });
      const stream = await openVsockStream({
        socketPath: vsock.socketPath,
        port: 1024,
        knocks: createKnocks(),
      });
      let heard = "";
      await new Promise<void>((resolve) => {
        stream.on("data", (chunk: Buffer) => {
          heard += chunk.toString();
          if (heard === "hello") resolve();
        });
      });
      expect(vsock.asked).toEqual(["CONNECT 1024\n"]);
      stream.destroy();
    }
  });

  test("carries many bytes both ways, with back-pressure, written before anybody answered", async () => {
    const size = 8 * 1024 * 1024;
    await using vsock = await Vsock.listen((socket) => {
      socket.write("OK 1\n");
      socket.pipe(socket);
    });
    const stream = await openVsockStream({ socketPath: vsock.socketPath, port: 1, knocks: createKnocks() });
    const sent = Buffer.alloc(size, "0123456789abcdef");
    let received = 0;
    const all = new Promise<void>((resolve) => {
      stream.on("data", (chunk: Buffer) => {
        expect(chunk.equals(sent.subarray(received, received + chunk.byteLength))).toBe(true);
        received += chunk.byteLength;
        if (received === size) resolve();
      });
    });
    for (let at = 0; at < size; at += 65_536) {
      if (!stream.write(sent.subarray(at, at + 65_536))) await once(stream, "drain");
    }
    await all;
    stream.destroy();
  });

  test.each(["NO\n", "OK \n", "OK x\n", "OK 12345678901\n", "HTTP/1.1 400 \r\n", "x".repeat(100)])(
    "fails with guest_error when it is greeted with %j",
    async (greeting) => {
      await using vsock = await Vsock.listen((socket) => void socket.write(greeting));
      const stream = await openVsockStream({ socketPath: vsock.socketPath, port: 1, knocks: createKnocks() });
      const [error] = (await once(stream, "error")) as [unknown];
      expect(error).toMatchObject({ code: "guest_error" });
    },
  );

  test("asks again after each knock until somebody listens, and never without one", async () => {
    await using vsock = await Vsock.listen(
      (socket, nth) => void (nth < 3 ? socket.destroy() : socket.write("OK 1\n!")),
    );
    const path = join(vsock.dir, "v.sock_7");
    using knocks = await listenForKnocks(path);
    const stream = await openVsockStream({ socketPath: vsock.socketPath, port: 7, knocks });
    const heard = once(stream, "data");
    await knock(path);
    await knocks.after(0);
    await knock(path);
    await knocks.after(1);
    await heard;
    expect(vsock.asked.length).toBe(3);
    stream.destroy();
    knocks[Symbol.dispose]();
    expect(readdirSync(vsock.dir)).toEqual(["v.sock"]);
  });

  test("ends when Firecracker dies while nobody listens in the guest", async () => {
    await using vsock = await Vsock.listen((socket) => void socket.destroy());
    const knocks = createKnocks();
    const stream = await openVsockStream({ socketPath: vsock.socketPath, port: 7, knocks });
    const closed = once(stream, "close");
    await vsock.close();
    knocks.nudge();
    await closed;
    await using _again = await Vsock.listen(() => undefined);
  });

  test("lets what was received be read after the guest's end", async () => {
    await using vsock = await Vsock.listen((socket) => void socket.end("OK 1\nlast words"));
    const stream = await openVsockStream({ socketPath: vsock.socketPath, port: 7, knocks: createKnocks() });
    let heard = "";
    for await (const chunk of stream as AsyncIterable<Buffer>) heard += chunk.toString();
    expect(heard).toBe("last words");
  });

  test("cannot be opened when nobody is there", async () => {
    const opening = openVsockStream({ socketPath: "/nonexistent/v.sock", port: 7, knocks: createKnocks() });
    expect(await opening.catch((error: unknown) => error)).toMatchObject({ code: "unavailable" });
  });
});

async function knock(path: string): Promise<void> {
  const socket = connect(path);
  socket.resume();
  await once(socket, "close");
}
