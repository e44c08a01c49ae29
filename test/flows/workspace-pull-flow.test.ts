/** Commits of a guest become a branch of the host's repository, and nothing else of it changes. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, put } from "../support/repositories.ts";
import { createWorkspaceDaemon } from "../support/workspace-daemon.ts";

test("pull makes a branch of the guest's commits, and moves it forward", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  const { client } = world.daemon;
  createRepository(host, { "a.txt": "one\n", "dir/b.txt": "b\n" });
  put(host, { "a.txt": "not committed\n" });
  await world.bring();
  expect(await client.pullWorkspace("web")).toMatchObject({
    branch: "banger/web",
    commits: 0,
    uncommitted: true,
  });
  const index = readFileSync(`${host}/.git/index`);
  put(guest, { "dir/b.txt": "two\n", "new.bin": Buffer.from([0, 255]) });
  git(guest, "add", "-A");
  git(guest, "commit", "-q", "-m", "in the guest");
  expect(await client.pullWorkspace("web")).toMatchObject({ commits: 1, uncommitted: false });
  expect(git(host, "rev-parse", "banger/web")).toBe(git(guest, "rev-parse", "HEAD"));
  git(guest, "gc", "-q");
  git(guest, "commit", "-q", "--allow-empty", "-m", "more");
  expect(await client.pullWorkspace("web")).toMatchObject({ commits: 1 });
  expect(git(host, "log", "--format=%s", "banger/web")).toBe("more\nin the guest\nfirst");
  expect(git(host, "fsck", "--full", "--strict")).toBe("");
  expect(readFileSync(`${host}/.git/index`).equals(index)).toBe(true);
  expect(git(host, "status", "--porcelain")).toBe(" M a.txt");
  expect(git(host, "show", "banger/web:a.txt")).toBe("not committed");
});

test("pull loses no commits, and leaves a branch that is checked out alone", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  const { client } = world.daemon;
  createRepository(host, { "a.txt": "one\n" });
  await world.bring();
  git(guest, "commit", "-q", "--allow-empty", "-m", "one");
  await client.pullWorkspace("web");
  git(guest, "commit", "-q", "--amend", "--allow-empty", "-m", "another");
  const lost = await refusal(client.pullWorkspace("web"), "conflict");
  expect(lost.cure).toContain("--force");
  expect(await client.pullWorkspace("web", { force: true })).toMatchObject({ commits: 1 });
  git(host, "checkout", "-q", "banger/web");
  git(guest, "commit", "-q", "--allow-empty", "-m", "two");
  expect((await refusal(client.pullWorkspace("web"), "failed_precondition")).message).toContain(
    "checked out",
  );
  expect(await client.pullWorkspace("web", { branch: "side" })).toMatchObject({ branch: "side" });
  expect(
    (await refusal(client.pullWorkspace("web", { branch: "a..b" }), "invalid_argument")).message,
  ).toContain("branch");
});

test("pull takes nothing that leads nowhere", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  createRepository(host, { "a.txt": "one\n" });
  await world.bring();
  put(guest, { "x.txt": "x\n" });
  git(guest, "add", "-A");
  git(guest, "commit", "-q", "-m", "x");
  const blob = git(guest, "rev-parse", "HEAD:x.txt");
  for (const path of [`.git/objects/${blob.slice(0, 2)}/${blob.slice(2)}`, "x.txt"])
    rmSync(`${guest}/${path}`);
  await refusal(world.daemon.client.pullWorkspace("web"));
  expect(git(host, "branch", "--list", "banger/*")).toBe("");
});
