/** Workspaces through client, server and the real agent (whose files are this host's): what arrives, and what comes back. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon } from "../support/workspace-daemon.ts";

test("a repository arrives as a clone with its history, branches, remotes, author and uncommitted changes", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  createRepository(host, {
    "a.txt": "one\n",
    "sub/b.sh": "#!/bin/sh\n",
    "c.txt": "c\n",
    ".gitignore": "*.log\n",
  });
  chmodSync(world.at("repo/sub/b.sh"), 0o755);
  symlinkSync("a.txt", world.at("repo/link"));
  const odd = Buffer.concat([Buffer.from(`${host}/odd\n`), Buffer.from([0xff])]);
  writeFileSync(odd, "odd");
  git(host, "add", "-A");
  git(host, "commit", "-q", "-m", "second");
  git(host, "tag", "-a", "-m", "tag", "v1");
  git(host, "branch", "other", "HEAD~1");
  git(host, "remote", "add", "origin", "https://ann:secret@example.com/repo.git");
  put(host, {
    "a.txt": "one\ntwo\n",
    "staged.txt": "staged\n",
    "untracked.txt": "u\n",
    "x.log": "ignored\n",
  });
  git(host, "add", "staged.txt");
  rmSync(world.at("repo/c.txt"));
  const before = hashTree(host);
  const workspace = await world.bring({ path: world.at("repo/sub") });
  expect(hashTree(host)).toBe(before);
  expect(workspace).toMatchObject({ hostPath: host, guestPath: guest, branch: "main", readonly: false });
  expect(git(guest, "log", "--format=%H %an %s")).toBe(git(host, "log", "--format=%H %an %s"));
  expect(git(guest, "status", "--porcelain")).toBe(" M a.txt\n D c.txt\nA  staged.txt");
  expect(git(guest, "for-each-ref")).toBe(git(host, "for-each-ref"));
  expect(git(guest, "remote", "get-url", "origin")).toBe("https://example.com/repo.git");
  expect(git(guest, "config", "user.email")).toBe("ann@example.com");
  expect(git(guest, "fsck", "--full", "--strict")).toBe("");
  expect(readFileSync(`${guest}/a.txt`, "utf8")).toBe("one\ntwo\n");
  expect(readFileSync(Buffer.concat([Buffer.from(`${guest}/odd\n`), Buffer.from([0xff])]), "utf8")).toBe(
    "odd",
  );
  expect(lstatSync(`${guest}/link`).isSymbolicLink()).toBe(true);
  expect(statSync(`${guest}/sub/b.sh`).mode & 0o777).toBe(0o755);
  expect(["untracked.txt", "x.log", "c.txt"].map((name) => existsSync(`${guest}/${name}`))).toEqual([
    false,
    false,
    false,
  ]);
});

test("export gives commits, staged, unstaged and untracked work as one patch that git apply --index takes", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  createRepository(host, {
    "a.txt": "one\n",
    "b.txt": "b\n",
    "c.txt": "c\n",
    "sub/d.txt": "d\n",
    ".gitignore": "*.log\n",
  });
  await world.bring();
  expect((await world.patch()).length).toBe(0);
  put(guest, { "a.txt": "one\ncommitted\n" });
  git(guest, "commit", "-q", "-a", "-m", "in the guest");
  put(guest, {
    "b.txt": "staged\n",
    bin: Buffer.from([0, 1, 2, 255]),
    "x.log": "ignored\n",
    "sub/deep/new.txt": "new\n",
  });
  git(guest, "add", "b.txt");
  put(guest, { "sub/d.txt": "unstaged\n" });
  rmSync(`${guest}/c.txt`);
  symlinkSync("a.txt", `${guest}/link`);
  chmodSync(`${guest}/a.txt`, 0o755);
  const index = readFileSync(`${guest}/.git/index`);
  const patch = await world.patch();
  expect(readFileSync(`${guest}/.git/index`).equals(index)).toBe(true);
  writeFileSync(world.at("p.patch"), patch);
  const before = hashTree(host);
  git(host, "apply", "--index", "--check", world.at("p.patch"));
  expect(hashTree(host)).toBe(before);
  git(host, "apply", "--index", world.at("p.patch"));
  expect(git(host, "status", "--porcelain").split("\n").toSorted()).toEqual([
    "A  bin",
    "A  link",
    "A  sub/deep/new.txt",
    "D  c.txt",
    "M  a.txt",
    "M  b.txt",
    "M  sub/d.txt",
  ]);
  expect(readFileSync(`${host}/bin`)).toEqual(Buffer.from([0, 1, 2, 255]));
  // Against the guest's own commit, what was committed before is not part of it.
  const since = (await world.patch("HEAD")).toString("latin1");
  expect(since).not.toContain("+committed");
  expect(since).toContain("+unstaged");
});
