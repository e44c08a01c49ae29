/** Connections over the host's route to a guest, whose part a server of this test plays. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { fateOf, parrot, serveTcp, type TestServer, talk } from "../../../test/support/sockets.ts";
import { createClock } from "../../lib/clock.ts";
import { dialByRoute, join } from "./route.ts";

test("joined connections carry both ways, and each side ends by itself", async () => {
  await using guest = await serveTcp(parrot);
  await using door = await doorTo(guest.port);
  expect((await talk(door.port, "hello")).toString()).toBe("hello!");
  const large = Buffer.alloc(8 * 2 ** 20, "y");
  const heard = await talk(door.port, large);
  expect([heard.length, heard.subarray(0, -1).equals(large)]).toEqual([large.length + 1, true]);
});

test("who breaks off breaks the other off", async () => {
  await using guest = await serveTcp((socket) => void socket.resetAndDestroy());
  await using door = await doorTo(guest.port);
  expect(await fateOf(door.port)).toBe("ECONNRESET");
  const broken = Promise.withResolvers<string>();
  await using other = await serveTcp((socket) => {
    socket.on("error", (error) => broken.resolve("code" in error ? String(error.code) : "unknown"));
    socket.resume().write("come");
  });
  await using second = await doorTo(other.port);
  const client = connect({ port: second.port, host: "127.0.0.1" });
  await once(client, "data");
  client.resetAndDestroy();
  expect(await broken.promise).toBe("ECONNRESET");
});

test("dialByRoute() says that nobody listens, and that nobody answers in time", async () => {
  await using guest = await serveTcp(() => undefined);
  const target = { host: "127.0.0.1", port: guest.port };
  const hasty = {
    now: () => 0,
    after: (_: number, wake: () => void) => {
      wake();
      return () => undefined;
    },
  };
  expect(await dialByRoute(target, hasty)).toBe("silent");
  // tcpmux: nobody has it.
  expect(await dialByRoute({ ...target, port: 1 }, createClock())).toBe("none");
});

/** A port whose connections are joined with new ones to another. */
async function doorTo(port: number): Promise<TestServer> {
  return await serveTcp((client) => {
    client.pause();
    void (async () => {
      const guest = await dialByRoute({ host: "127.0.0.1", port }, createClock());
      if (typeof guest === "object") await join(client, guest);
      else client.resetAndDestroy();
    })();
  });
}
