/** What is new on the host goes into the guest's copy, in few bytes, and nothing that was done there is lost. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon } from "../support/workspace-daemon.ts";

test("sync sends files, commits and what is staged, and export still knows what the guest did", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  const { client } = world.daemon;
  createRepository(host, { "a.txt": "one\n", "b.txt": "b\n", "old/c.txt": "c\n", "d.txt": "d\n" });
  await world.bring();
  expect(await client.syncWorkspace("web")).toMatchObject({ files: 0, removed: 0, bytes: 0 });
  put(guest, { "d.txt": "of the guest\n", "new.txt": "of the guest\n" });
  put(host, { "a.txt": "two\n" });
  git(host, "commit", "-q", "-a", "-m", "second");
  rmSync(`${host}/old`, { recursive: true });
  put(host, { "b.txt": "not committed\n", "staged.txt": "staged\n" });
  git(host, "add", "staged.txt");
  git(host, "branch", "other");
  const before = hashTree(host);
  expect(await client.syncWorkspace("web")).toMatchObject({ files: 3, removed: 1 });
  expect(hashTree(host)).toBe(before);
  expect(git(guest, "rev-parse", "HEAD")).toBe(git(host, "rev-parse", "HEAD"));
  expect(git(guest, "for-each-ref")).toBe(git(host, "for-each-ref"));
  expect(git(guest, "status", "--porcelain")).toBe(
    " M b.txt\n M d.txt\n D old/c.txt\nA  staged.txt\n?? new.txt",
  );
  expect(git(guest, "fsck", "--full")).toBe("");
  expect(existsSync(`${guest}/old`)).toBe(false);
  writeFileSync(world.at("patch"), await world.patch());
  git(host, "apply", "--index", world.at("patch"));
  expect(git(host, "status", "--porcelain")).toBe(
    " M b.txt\nM  d.txt\nA  new.txt\n D old/c.txt\nA  staged.txt",
  );
  // What came back by the patch is no conflict.
  await client.syncWorkspace("web");
  expect((await world.patch()).length).toBe(0);
});

test("a second sync after a change of one line sends at most 20 kB, committed or not", async () => {
  await using world = await createWorkspaceDaemon();
  const host = world.at("repo");
  const { client } = world.daemon;
  const files = Array.from({ length: 5_000 }, (_, at) => [
    `dir${at % 100}/file${at}.txt`,
    `${"line\n".repeat(50)}${at}\n`,
  ]);
  createRepository(host, Object.fromEntries(files) as Record<string, string>);
  await world.bring();
  const line = (name: string): void => writeFileSync(`${host}/${name}`, "another line\n", { flag: "a" });
  line("dir1/file1.txt");
  const uncommitted = await client.syncWorkspace("web");
  expect(uncommitted).toMatchObject({ files: 1 });
  expect(uncommitted.bytes).toBeLessThanOrEqual(20_000);
  line("dir2/file2.txt");
  git(host, "commit", "-q", "-a", "-m", "one line");
  // The guest's git has looked at its files meanwhile, and written its index anew.
  git(world.at("guest"), "status");
  const committed = await client.syncWorkspace("web");
  expect(committed).toMatchObject({ files: 1 });
  expect(committed.bytes).toBeLessThanOrEqual(20_000);
  expect(git(world.at("guest"), "status", "--porcelain")).toBe("");
  expect(git(world.at("guest"), "log", "--format=%s")).toBe("one line\nfirst");
});

test("sync refuses to overwrite what was done in the guest, and does with force", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  const { client } = world.daemon;
  createRepository(host, { "a.txt": "one\n", "b.txt": "b\n", "c.txt": "c\n" });
  await world.bring();
  put(guest, { "a.txt": "guest\n", "new.txt": "guest\n" });
  put(host, { "a.txt": "host\n", "b.txt": "host\n", "new.txt": "host\n" });
  git(host, "add", "-A");
  const before = hashTree(guest);
  const error = await refusal(client.syncWorkspace("web"), "conflict");
  expect(error.message).toContain("a.txt, new.txt");
  expect(hashTree(guest)).toBe(before);
  expect(await client.syncWorkspace("web", { force: true })).toMatchObject({ files: 3 });
  expect(["a.txt", "b.txt", "new.txt"].map((name) => readFileSync(`${guest}/${name}`, "utf8"))).toEqual([
    "host\n",
    "host\n",
    "host\n",
  ]);
  git(guest, "commit", "-q", "-a", "-m", "in the guest");
  git(host, "commit", "-q", "-a", "-m", "on the host");
  expect((await refusal(client.syncWorkspace("web"), "conflict")).message).toContain("the branch main");
  // What only one side changed goes, whatever the history says.
  git(host, "reset", "-q", "--soft", "HEAD~1");
  put(host, { "c.txt": "host\n" });
  expect(await client.syncWorkspace("web")).toMatchObject({ files: 1 });
  expect(git(guest, "log", "--format=%s")).toBe("in the guest\nfirst");
});

test("exec says when the host has moved on", async () => {
  await using world = await createWorkspaceDaemon();
  const host = world.at("repo");
  const { client } = world.daemon;
  createRepository(host, { "a.txt": "one\n" });
  await world.bring();
  const notes = async (): Promise<string[]> => {
    const said: string[] = [];
    const onProgress = (line: { event: string; text?: string }): void =>
      void said.push(line.text ?? line.event);
    await client.exec("web", { argv: ["/bin/true"], cwd: "/" }, { onProgress }).exit;
    return said;
  };
  expect(await notes()).toEqual([]);
  put(host, { "a.txt": "two\n" });
  expect((await notes()).join("\n")).toContain("1 file has changed");
  git(host, "commit", "-q", "-a", "-m", "second");
  expect((await notes()).join("\n")).toContain("banger workspace sync web");
  await client.syncWorkspace("web");
  expect(await notes()).toEqual([]);
});
