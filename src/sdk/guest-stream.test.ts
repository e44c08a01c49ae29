/** The client's end of a stream to a guest, with a daemon that is made up. */
import { expect, test } from "bun:test";
import { createScriptedTransport } from "../../test/support/scripted-transport.ts";
import { GuestStream } from "./guest-stream.ts";

test("write() of several at once waits for room, and none is forgotten", async () => {
  const { transport, open, say, sentBytes } = createScriptedTransport();
  const stream = new GuestStream(transport, "/", { request: { type: "dial", port: 80 } });
  open();
  say({ type: "opened" });
  await stream.write(new Uint8Array(262_144));
  const writes = [stream.write(new Uint8Array(10)), stream.write(new Uint8Array(10))];
  await new Promise(setImmediate);
  say({ type: "credit", bytes: 20 });
  await Promise.all(writes);
  expect(sentBytes()).toBe(262_144 + 20);
});
