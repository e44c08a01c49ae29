/** Workspaces with real guests: the smoke scenarios of the seed that name one. The guest's image has no git. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createScratch } from "../support/trees.ts";

const OK = { code: 0, stderr: "" };
const ROOT = join(import.meta.dir, "../..");

test("run PATH brings the tree along, starts in it, and passes the exit code on", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  createRepository(scratch.at("repo"), {
    "a.txt": "hello\n",
    Makefile: "test:\n\tfalse\n",
    ".gitignore": "*.log\n",
  });
  put(scratch.at("repo"), { "a.txt": "changed\n", "new.txt": "new\n", "x.log": "log\n" });
  const before = hashTree(scratch.at("repo"));
  const script = "pwd; cat a.txt; ls; exit 42";
  const ran = await home.banger(["run", "--rm", "-q", "./repo", "--", "sh", "-c", script], {
    cwd: scratch.path,
  });
  expect(ran).toMatchObject({ code: 42, stderr: "", stdout: "/root/repo\nchanged\nMakefile\na.txt\n" });
  const all = [
    "run",
    "--rm",
    "-q",
    "--include-untracked",
    "--guest-path",
    "/srv/app",
    "--user",
    "nobody",
    "repo",
    "--",
    "sh",
    "-c",
    "pwd; ls",
  ];
  expect(await home.banger(all, { cwd: scratch.path })).toMatchObject({
    ...OK,
    stdout: "/srv/app\nMakefile\na.txt\nnew.txt\n",
  });
  expect(hashTree(scratch.at("repo"))).toBe(before);
  expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
});

test("a dry run lists and makes nothing, and what cannot be copied is refused before there is a VM", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  createRepository(scratch.at("repo"), { "a.txt": "hello\n", "sub/b.txt": "b\n" });
  put(scratch.at("repo"), { "new.txt": "new\n" });
  git(scratch.path, "init", "-q", "--bare", "bare.git");
  put(scratch.path, { "plain/file": "" });
  const listed = await home.banger(["run", "--dry-run", scratch.at("repo")]);
  expect(listed).toMatchObject({ code: 0, stdout: "a.txt\nsub/b.txt\n" });
  expect(listed.stderr).toContain("to /root/repo");
  for (const [path, words] of [
    ["bare.git", "bare repository"],
    ["plain", "no git repository"],
  ] as const) {
    const refused = await home.banger(["run", "-d", scratch.at(path)]);
    expect(refused).toMatchObject({ code: 125, stdout: "" });
    expect(refused.stderr).toContain(words);
    expect(refused.stderr).toContain("cure:");
  }
  expect(await home.banger(["run", "-d", scratch.at("none")])).toMatchObject({ code: 2 });
  expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
});

test("what is done in a workspace survives a restart, exec enters it, and export brings it back", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  const host = scratch.at("repo");
  createRepository(host, { "a.txt": "hello\n", "b.txt": "b\n", ".gitignore": "build/\n" });
  expect((await home.banger(["run", "-d", "--name", "web", host])).code).toBe(0);
  const script = "echo more >> a.txt; mkdir build; echo x > build/x; echo new > new.txt; rm b.txt";
  expect(await home.banger(["exec", "web", "--", "sh", "-ec", script])).toMatchObject(OK);
  expect(await home.banger(["exec", "web", "--", "sh", "-c", "exit 7"])).toMatchObject({ code: 7 });
  expect((await home.banger(["restart", "-q", "web"])).code).toBe(0);
  expect(await home.banger(["exec", "web", "--", "cat", "new.txt"])).toMatchObject({
    ...OK,
    stdout: "new\n",
  });
  const patch = scratch.at("work.patch");
  expect(await home.banger(["workspace", "export", "web", "-o", patch])).toMatchObject({ ...OK, stdout: "" });
  expect((await home.banger(["workspace", "diff", "web"])).stdout).toBe(readFileSync(patch, "utf8"));
  git(host, "apply", "--index", patch);
  expect(git(host, "status", "--porcelain")).toBe("M  a.txt\nD  b.txt\nA  new.txt");
  expect((await home.banger(["stop", "web"])).code).toBe(0);
  const refused = await home.banger(["exec", "web", "--", "true"]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toContain("is stopped");
});

test("a read-only copy has no write bits", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  createRepository(scratch.at("repo"), { "a.txt": "hello\n", "sub/run.sh": "#!/bin/sh\n" });
  writeFileSync(scratch.at("repo/sub/run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  const script = "stat -c '%a %n' . a.txt sub sub/run.sh .git/HEAD";
  const { code, stdout } = await home.banger([
    "run",
    "--rm",
    "-q",
    "--readonly",
    scratch.at("repo"),
    "--",
    "sh",
    "-c",
    script,
  ]);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: "555 .\n444 a.txt\n555 sub\n444 sub/run.sh\n444 .git/HEAD\n",
  });
});

test("a read-only copy stays one when it is synced, and what root writes in it all the same comes back", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  const host = scratch.at("repo");
  createRepository(host, { "a.txt": "one\n", "sub/b.txt": "b\n" });
  expect((await home.banger(["run", "-d", "-q", "--readonly", "--name", "web", host])).code).toBe(0);
  put(host, { "a.txt": "two\n", "sub/new/c.txt": "c\n" });
  git(host, "add", "-A");
  const before = hashTree(host);
  expect(await home.banger(["workspace", "sync", "-q", "web"])).toMatchObject({ code: 0, stderr: "" });
  expect(hashTree(host)).toBe(before);
  const look = "cat a.txt sub/new/c.txt; stat -c '%a %n' a.txt sub sub/new sub/new/c.txt";
  expect(await home.banger(["exec", "web", "--", "sh", "-c", look])).toMatchObject({
    ...OK,
    stdout: "two\nc\n444 a.txt\n555 sub\n555 sub/new\n444 sub/new/c.txt\n",
  });
  expect(await home.banger(["workspace", "diff", "web"])).toMatchObject({ ...OK, stdout: "" });
  expect(await home.banger(["exec", "web", "--", "sh", "-c", "echo x > a.txt"])).toMatchObject(OK);
  expect((await home.banger(["workspace", "diff", "web"])).stdout).toContain("-two\n+x\n");
});

test("the project's own repository makes the round trip: it arrives, is worked on, synced, and comes back as a patch", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  const host = scratch.at("banger");
  // What CI has checked out may be shallow; a clone of it is then, too.
  git(scratch.path, "clone", "-q", "--local", ROOT, host);
  put(host, { "README.md": "# changed, not committed\n" });
  const before = hashTree(host);
  const commits = git(host, "rev-list", "--count", "HEAD");
  expect((await home.banger(["run", "-d", "--name", "web", host])).code).toBe(0);
  expect(hashTree(host)).toBe(before);
  const files = git(host, "ls-files").split("\n").length;
  const count =
    "find . -path ./.git -prune -o \\( -type f -o -type l \\) -print | wc -l; head -n 1 README.md";
  const found = await home.banger(["exec", "web", "--", "sh", "-c", count]);
  expect(found).toMatchObject({ ...OK, stdout: `${files}\n# changed, not committed\n` });
  const script = "echo worked >> CHANGELOG.md; mkdir deep; echo new > deep/new.ts; rm LICENSE";
  expect(await home.banger(["exec", "web", "--", "sh", "-ec", script])).toMatchObject(OK);
  put(host, { "CONTRIBUTING.md": "# newer\n" });
  const warned = await home.banger(["exec", "web", "--", "true"]);
  expect(warned.stderr).toContain("1 file has changed");
  const synced = await home.banger(["exec", "--sync", "web", "--", "cat", "CONTRIBUTING.md"]);
  expect(synced).toMatchObject({ ...OK, stdout: "# newer\n" });
  const patch = scratch.at("work.patch");
  expect((await home.banger(["workspace", "export", "web", "-o", patch])).code).toBe(0);
  git(host, "apply", "--index", patch);
  expect(git(host, "diff", "--cached", "--name-status")).toBe("M\tCHANGELOG.md\nD\tLICENSE\nA\tdeep/new.ts");
  const pulled = await home.banger(["workspace", "pull", "web"]);
  expect(pulled).toMatchObject({ code: 0, stdout: "banger/web\n" });
  expect(git(host, "rev-list", "--count", "banger/web")).toBe(commits);
});

test("a guest whose disk is full says so, and has nothing of the work tree under its name", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  createRepository(scratch.at("repo"), { "big.bin": crypto.getRandomValues(Buffer.alloc(48 * 1024 * 1024)) });
  const before = hashTree(scratch.at("repo"));
  const full = await home.banger(["run", "-d", "--name", "web", "--disk", "64M", scratch.at("repo")]);
  expect(full.code).toBe(125);
  expect(hashTree(scratch.at("repo"))).toBe(before);
  expect(full.stderr).toContain("No space left");
  expect(await home.banger(["exec", "web", "--", "ls", "-A", "/root"])).toMatchObject({
    code: 0,
    stdout: expect.not.stringMatching(/repo|banger/),
  });
});

test("work in a submodule is told of, and comes back: as a patch of its own, as a branch of its own; what is new there goes in", async () => {
  await using home = await createRealHome();
  using scratch = createScratch();
  const host = scratch.at("repo");
  createRepository(scratch.at("lib"), { "lib.c": "int x;\n" });
  createRepository(host, { "a.txt": "a\n" });
  git(host, "submodule", "--quiet", "add", scratch.at("lib"), "vendor/lib");
  git(host, "commit", "-q", "-m", "with a submodule");
  const [inner, patch] = [join(host, "vendor/lib"), scratch.at("lib.patch")];
  expect(await home.banger(["run", "-d", "-q", "--name", "web", host])).toMatchObject(OK);
  const edit = "echo 'int y;' > vendor/lib/lib.c; echo new > vendor/lib/new.c";
  expect(await home.banger(["exec", "web", "--", "sh", "-ec", edit])).toMatchObject(OK);
  const outer = await home.banger(["workspace", "export", "web"]);
  expect(outer).toMatchObject({ code: 0, stdout: "" });
  expect(outer.stderr).toContain("--submodule vendor/lib");
  const exported = ["workspace", "export", "web", "--submodule", "vendor/lib", "-o", patch];
  expect(await home.banger(exported)).toMatchObject({ ...OK, stdout: "" });
  git(inner, "apply", "--index", patch);
  expect(git(inner, "status", "--porcelain")).toBe("M  lib.c\nA  new.c");
  git(inner, "reset", "-q", "--hard");
  // The image has no git: a commit is made here, and brought in as its files.
  git(scratch.path, "clone", "-q", scratch.at("lib"), "clone");
  git(
    scratch.at("clone"),
    "-c",
    "user.name=G",
    "-c",
    "user.email=g@example.com",
    "commit",
    "-q",
    "--allow-empty",
    "-m",
    "more",
  );
  const head = git(scratch.at("clone"), "rev-parse", "HEAD");
  const object = `${head.slice(0, 2)}/${head.slice(2)}`;
  const objects = "/root/repo/vendor/lib/.git/objects";
  const make = `mkdir -p ${objects}/${head.slice(0, 2)}; echo ${head} > ${objects}/../HEAD`;
  expect(await home.banger(["exec", "web", "--", "sh", "-ec", make])).toMatchObject({ code: 0 });
  const copy = ["cp", scratch.at("clone/.git/objects", object), `web:${objects}/${object}`];
  expect(await home.banger(copy)).toMatchObject({ code: 0 });
  const pulled = await home.banger(["workspace", "pull", "web"]);
  expect(pulled).toMatchObject({ code: 0, stdout: "banger/web\n" });
  expect(pulled.stderr).toContain("vendor/lib: banger/web is at");
  expect(pulled.stderr).toContain("vendor/lib: what is not committed stays there");
  expect(git(inner, "rev-parse", "banger/web")).toBe(head);
  put(inner, { "host.c": "of the host\n" });
  git(inner, "add", "host.c");
  // git has written lib.c anew on the host, as it was.
  const refused = await home.banger(["workspace", "sync", "-q", "web"]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("vendor/lib: lib.c") });
  expect(await home.banger(["workspace", "sync", "-q", "--force", "web"])).toMatchObject({ code: 0 });
  const read = ["exec", "web", "--", "cat", "vendor/lib/host.c", "vendor/lib/lib.c"];
  expect(await home.banger(read)).toMatchObject({ code: 0, stdout: "of the host\nint x;\n" });
});
