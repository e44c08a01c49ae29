import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectUnix } from "./unix-door.ts";

describe("connectUnix()", () => {
  test("reaches a socket whose path is longer than an address, follows no link to it, and says what is none", async () => {
    const dir = mkdtempSync(join(tmpdir(), "door-"));
    const heard = Promise.withResolvers<string>();
    await using server = createServer((socket) => socket.on("data", (chunk) => heard.resolve(String(chunk))));
    try {
      const deep = join(dir, "d".repeat(120));
      mkdirSync(deep);
      await new Promise<void>((resolve) => server.listen(join(dir, "s"), resolve));
      const long = join(deep, "s");
      symlinkSync(join(dir, "s"), long);
      writeFileSync(join(dir, "file"), "");
      for (const path of [long, join(dir, "file"), join(dir, "nothing")]) {
        expect(await connectUnix(path).catch((error: unknown) => error)).toMatchObject({
          code: "unavailable",
        });
      }
      const socket = await connectUnix(`${deep}/../s`);
      socket.end("hello");
      expect(await heard.promise).toBe("hello");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
