/** Connections that cannot be made. */
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBunTransport } from "./transport-bun.ts";
import { createNodeTransport } from "./transport-node.ts";

test.each([
  ["Bun", createBunTransport],
  ["Node.js", createNodeTransport],
])("the transport of %s lets its descriptor go when nobody answers on an odd path", async (_, create) => {
  const dir = mkdtempSync(join(tmpdir(), "banger sdk é "));
  try {
    const closed = Promise.withResolvers<string>();
    const ignore = (): void => undefined;
    create(join(dir, "none.sock")).connect("/", {
      onOpen: ignore,
      onText: ignore,
      onBytes: ignore,
      onClose: closed.resolve,
    });
    expect(openPaths()).toContain(dir);
    expect(await closed.promise).not.toBe("code 1000");
    expect(openPaths()).not.toContain(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** What the descriptors of this process lead to. */
function openPaths(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one that the listing itself was read with.
      return [];
    }
  });
}
