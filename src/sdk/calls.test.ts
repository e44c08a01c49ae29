/** Answers that break off: every method of the client ends with an error of ours. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refusal } from "../../test/support/refusal.ts";
import { Client } from "./client.ts";

/** A daemon that ends in the middle of every answer. */
async function createDyingDaemon(): Promise<AsyncDisposable & { readonly client: Client }> {
  const dir = mkdtempSync(join(tmpdir(), "banger-sdk-"));
  const path = join(dir, "d.sock");
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-length": 1000 });
    response.write('{"vms":[', () => response.destroy());
  });
  await once(server.listen(path), "listening");
  return {
    client: await Client.create(path),
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(() => resolve()));
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
