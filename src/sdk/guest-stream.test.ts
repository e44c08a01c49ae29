/** The client's end of a stream to a guest, with a daemon that is made up. */
import { expect, test } from "bun:test";
import { GuestStream } from "./guest-stream.ts";
import type { SocketListener } from "./transport.ts";

test("write() of several at once waits for room, and none is forgotten", async () => {
  let sentBytes = 0;
  let socket: SocketListener | undefined;
  const transport = {
    request: () => expect.unreachable(),
    connect: (_: string, given: SocketListener) => {
      socket = given;
      return {
        send: (data: string | Uint8Array) => {
          if (typeof data !== "string") sentBytes += data.length;
        },
        bufferedBytes: 0,
        close: () => undefined,
      };
    },
  };
  const stream = new GuestStream(transport, "/", { request: { type: "dial", port: 80 } });
  socket?.onText('{"type":"opened"}');
  await stream.write(new Uint8Array(262_144));
  const writes = [stream.write(new Uint8Array(10)), stream.write(new Uint8Array(10))];
  await new Promise(setImmediate);
  socket?.onText('{"type":"credit","bytes":20}');
  await Promise.all(writes);
  expect(sentBytes).toBe(262_144 + 20);
});
