import { describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { listLeftovers, publishDirectory, publishFile, removeLeftovers, temporaryName } from "./publish.ts";

async function createDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "banger-publish-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error: unknown) => BangerError.from(error).code,
  );
}

describe("publishDirectory()", () => {
  test("shows nothing under the final name before it is whole", async () => {
    await using dir = await createDirectory();
    const parent = join(dir.path, "new", "parent");
    const path = await publishDirectory(parent, async (temporary) => {
      await writeFile(join(temporary, "a"), "1");
      expect(await readdir(parent)).toEqual([expect.stringMatching(/^\.tmp-/u)]);
      return "name";
    });
    expect(path).toBe(join(parent, "name"));
    expect(await readdir(parent)).toEqual(["name"]);
  });

  test("keeps what is there already, also when two race", async () => {
    await using dir = await createDirectory();
    const publish = async (text: string): Promise<string> =>
      publishDirectory(dir.path, async (temporary) => {
        await writeFile(join(temporary, "a"), text);
        return "name";
      });
    await publish("first");
    await Promise.all([publish("second"), publish("third")]);
    expect(await readFile(join(dir.path, "name", "a"), "utf8")).toBe("first");
    expect(await readdir(dir.path)).toEqual(["name"]);
  });

  test("leaves nothing when filling fails, and translates a full disk", async () => {
    await using dir = await createDirectory();
    const full = Object.assign(new Error("full"), { code: "ENOSPC" });
    const publishing = publishDirectory(dir.path, async (temporary) => {
      await mkdir(join(temporary, "sub"));
      throw full;
    });
    expect(await codeOf(publishing)).toBe("resource_exhausted");
    expect(await readdir(dir.path)).toEqual([]);
  });
});

describe("publishFile()", () => {
  test("never replaces a file; one of two that race wins", async () => {
    await using dir = await createDirectory();
    const path = join(dir.path, "f");
    const publish = (text: string): Promise<void> =>
      publishFile(path, (temporary) => writeFile(temporary, text));
    const codes = await Promise.all([codeOf(publish("a")), codeOf(publish("b"))]);
    expect(codes.toSorted()).toEqual(["already_exists", "none"]);
    expect(await readdir(dir.path)).toEqual(["f"]);
  });

  test("leaves nothing when writing fails", async () => {
    await using dir = await createDirectory();
    const publishing = publishFile(join(dir.path, "f"), async (temporary) => {
      await writeFile(temporary, "x");
      throw new BangerError("cancelled", "no");
    });
    expect(await codeOf(publishing)).toBe("cancelled");
    expect(await readdir(dir.path)).toEqual([]);
  });
});

describe("removeLeftovers()", () => {
  test("removes what a process that is gone left, and nothing else", async () => {
    await using dir = await createDirectory();
    const ours = temporaryName();
    const gone = ".tmp-4194304-1-abcdef"; // Above every pid (pid_max, proc(5)).
    const reused = `.tmp-${process.pid}-1-abcdef`; // Our pid, but it started at another time.
    for (const name of [ours, gone, reused, "kept", ".tmp-strange"])
      await mkdir(join(dir.path, name, "sub"), { recursive: true });
    expect((await listLeftovers(dir.path)).toSorted()).toEqual([gone, reused].toSorted());
    expect((await removeLeftovers(dir.path)).length).toBe(2);
    expect((await readdir(dir.path)).toSorted()).toEqual([".tmp-strange", ours, "kept"].toSorted());
    expect(await removeLeftovers(join(dir.path, "nothing"))).toEqual([]);
  });
});
