/** Answers that break off: every method of the client ends with an error of ours. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refusal } from "../../test/support/refusal.ts";
import { connectionError } from "./answers.ts";
import { Client } from "./client.ts";

/** A daemon that begins every answer, and then ends it or, `alive`, goes on saying nothing. */
async function createDyingDaemon({
  alive = false,
} = {}): Promise<AsyncDisposable & { readonly client: Client; readonly begun: Promise<void> }> {
  const begun = Promise.withResolvers<void>();
  const dir = mkdtempSync(join(tmpdir(), "banger-sdk-"));
  const path = join(dir, "d.sock");
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-length": 1000 });
    response.write('{"vms":[', () => {
      begun.resolve();
      if (!alive) response.destroy();
    });
  });
  await once(server.listen(path), "listening");
  return {
    client: await Client.create(path),
    begun: begun.promise,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      rmSync(dir, { recursive: true });
    },
  };
}

test.each([
  ["one answer", (client: Client) => client.listVms()],
  ["lines of progress", (client: Client) => client.startVm("web")],
  ["text", (client: Client) => client.logs("web")],
  [
    "bytes",
    async (client: Client) => {
      for await (const _ of await client.exportImage("img"));
    },
  ],
])("%s that breaks off is unavailable, with the cure", async (_, call) => {
  await using daemon = await createDyingDaemon();
  const { message, cure } = await refusal(call(daemon.client), "unavailable");
  expect(message).toBe("the daemon ended before the operation did");
  expect(cure).toContain("repeat the command");
});

test("who gives an operation up hears that it was cancelled, whatever the reason is", async () => {
  await using daemon = await createDyingDaemon({ alive: true });
  const gone = new AbortController();
  const list = refusal(daemon.client.listVms({ signal: gone.signal }), "cancelled");
  await daemon.begun;
  gone.abort(new Error("enough"));
  expect((await list).message).toBe("the operation was cancelled");
});

test("connectionError() says that it was given up, where a runtime calls that a broken connection", () => {
  const broken = Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  expect(connectionError(broken, AbortSignal.abort()).code).toBe("cancelled");
  expect(connectionError(broken, undefined).code).toBe("unavailable");
});
