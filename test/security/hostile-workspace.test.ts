/** Repositories that want to run something on this host, and guests that answer with what nobody asked for. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon } from "../support/workspace-daemon.ts";

test("a repository's hooks, filters, monitors and helpers are never run", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, ran] = [world.at("repo"), world.at("ran")];
  createRepository(host, { "a.txt": "one\n", "b.dat": "b\n" });
  put(host, { ".gitattributes": "* filter=evil diff=evil\n" });
  git(host, "add", ".gitattributes");
  git(host, "commit", "-q", "-m", "attributes");
  const evil = world.at("evil");
  writeFileSync(evil, `#!/bin/sh\necho "$0 $@" >> ${ran}\ncat\n`);
  chmodSync(evil, 0o755);
  for (const key of [
    "core.fsmonitor",
    "core.sshCommand",
    "core.askPass",
    "core.pager",
    "core.editor",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "credential.helper",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "gpg.program",
    "uploadpack.packObjectsHook",
    "remote.origin.uploadpack",
    "alias.ls-files",
  ]) {
    git(host, "config", key, evil);
  }
  git(host, "config", "filter.evil.required", "true");
  git(host, "config", "remote.origin.url", `ext::sh -c ${evil}`);
  git(host, "config", "protocol.ext.allow", "always");
  git(host, "config", "core.hooksPath", world.at("hooks"));
  mkdirSync(world.at("hooks"));
  for (const hook of ["post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc"]) {
    for (const directory of [world.at("hooks"), `${host}/.git/hooks`])
      symlinkSync(evil, `${directory}/${hook}`);
  }
  // Not through git, which would run them here.
  put(host, { "a.txt": "one\ntwo\n", "new.txt": "new\n" });
  await world.daemon.client.previewWorkspace({ path: host, includeUntracked: true });
  await world.bring({ includeUntracked: true });
  put(world.at("guest"), { "a.txt": "changed in the guest\n", "more.txt": "more\n" });
  expect((await world.patch()).toString()).toContain("+changed in the guest");
  expect(existsSync(ran)).toBe(false);
  // They would have: another git runs them.
  Bun.spawnSync(["git", "status"], { cwd: host });
  expect(existsSync(ran)).toBe(true);
});

test.each<readonly [string, Buffer]>([
  ["no name", Buffer.alloc(0)],
  ["a name that is no text", Buffer.from([0x65, 0xff])],
])("a repository's filter with %s is not run", async (_, name) => {
  await using world = await createWorkspaceDaemon();
  const [host, ran, evil] = [world.at("repo"), world.at("ran"), world.at("evil")];
  createRepository(host, { "a.txt": "one\n" });
  writeFileSync(evil, `#!/bin/sh\ntouch ${ran}\ncat\n`);
  chmodSync(evil, 0o755);
  put(host, { ".gitattributes": Buffer.concat([Buffer.from("* filter="), name, Buffer.from("\n")]) });
  const config = readFileSync(`${host}/.git/config`);
  const clean = Buffer.from(`"]\n\tclean = ${evil}\n`);
  writeFileSync(`${host}/.git/config`, Buffer.concat([config, Buffer.from('[filter "'), name, clean]));
  // Of the same size, so that only the content tells.
  put(host, { "a.txt": "two\n" });
  if (name.length === 0) await world.bring();
  else expect((await refusal(world.bring(), "unsupported")).message).toContain("no UTF-8");
  expect(existsSync(ran)).toBe(false);
  // It would have: another git runs it.
  expect(Bun.spawnSync(["git", "add", "a.txt"], { cwd: host }).exitCode).toBe(0);
  expect(existsSync(ran)).toBe(true);
});

test("what a guest writes into its repository runs nothing on the host", async () => {
  await using world = await createWorkspaceDaemon();
  const [guest, ran] = [world.at("guest"), world.at("ran")];
  createRepository(world.at("repo"), { "a.txt": "one\n", "b.txt": "b\n" });
  await world.bring();
  const evil = world.at("evil");
  writeFileSync(evil, `#!/bin/sh\ntouch ${ran}\ncat\n`);
  chmodSync(evil, 0o755);
  writeFileSync(
    `${guest}/.git/config`,
    `[core]\n\tfsmonitor = ${evil}\n\thooksPath = ${guest}/hooks\n[filter "evil"]\n\tclean = ${evil}\n[diff "evil"]\n\ttextconv = ${evil}\n`,
  );
  put(guest, { ".gitattributes": "* filter=evil diff=evil\n", "a.txt": "changed\n" });
  expect((await world.patch()).toString()).toContain("+changed");
  expect(existsSync(ran)).toBe(false);
});

test("a repository that says its work tree is the one of another brings nothing of that one", async () => {
  await using world = await createWorkspaceDaemon();
  const [outer, host] = [world.at("outer"), world.at("outer/projects/evil")];
  createRepository(outer, { ".gitignore": "secret\nprojects\n" });
  put(outer, { secret: "of the outer one\n" });
  createRepository(host, { secret: "a name to be found\n" });
  git(host, "config", "core.worktree", "../../..");
  const error = await refusal(world.bring({ path: host }), "failed_precondition");
  expect(error.message).toContain("keeps its work tree elsewhere");
  expect(existsSync(world.at("guest"))).toBe(false);
});

test("a link in the place of a submodule is not followed to another repository", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, other] = [world.at("repo"), world.at("private/lib")];
  createRepository(world.at("lib"), { "lib.c": "x\n" });
  createRepository(other, { secret: "of the other one\n" });
  createRepository(host, { "a.txt": "one\n" });
  for (const path of ["lib", "vendor/lib"]) git(host, "submodule", "--quiet", "add", world.at("lib"), path);
  git(host, "commit", "-q", "-m", "with submodules");
  rmSync(`${host}/lib`, { recursive: true });
  symlinkSync(other, `${host}/lib`);
  rmSync(`${host}/vendor`, { recursive: true });
  symlinkSync(world.at("private"), `${host}/vendor`);
  const { submodules } = await world.bring();
  expect(submodules ?? []).toEqual([]);
  expect(readdirSync(world.at("guest"), { recursive: true }).map(String)).not.toContainEqual(
    expect.stringContaining("secret"),
  );
});

test("what a guest makes of a submodule runs nothing on the host, and leads nowhere", async () => {
  await using world = await createWorkspaceDaemon();
  const { client } = world.daemon;
  const [host, ran, lib] = [world.at("repo"), world.at("ran"), world.at("guest/vendor/lib")];
  createRepository(world.at("lib"), { "lib.c": "x\n" });
  createRepository(host, { "a.txt": "one\n" });
  git(host, "submodule", "--quiet", "add", world.at("lib"), "vendor/lib");
  git(host, "commit", "-q", "-m", "with a submodule");
  await world.bring();
  const evil = world.at("evil");
  writeFileSync(evil, `#!/bin/sh\ntouch ${ran}\ncat\n`);
  chmodSync(evil, 0o755);
  git(lib, "commit", "-q", "--allow-empty", "-m", "in the guest");
  const head = git(lib, "rev-parse", "HEAD");
  const config = `[core]\n\tfsmonitor = ${evil}\n\tworktree = ${host}\n[filter "evil"]\n\tclean = ${evil}\n`;
  put(lib, { ".git/config": config, ".gitattributes": "* filter=evil diff=evil\n", "lib.c": "changed\n" });
  symlinkSync(evil, `${lib}/.git/hooks/reference-transaction`);
  put(world.at("guest"), {
    ".gitmodules": `[submodule "vendor/lib"]\n\tpath = ../../outside\n\tupdate = !${evil}\n`,
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.exportWorkspace("web", { submodule: "vendor/lib" }))
    pieces.push(piece);
  expect(Buffer.concat(pieces).toString()).toContain("+changed");
  const { submodules } = await client.pullWorkspace("web");
  expect(submodules).toMatchObject([{ path: "vendor/lib", head, commits: 1 }]);
  put(`${host}/vendor/lib`, { "lib.c": "of the host\n" });
  await client.syncWorkspace("web", { force: true });
  expect(readFileSync(`${lib}/lib.c`, "utf8")).toBe("of the host\n");
  for (const submodule of ["../../outside", "vendor/lib/../..", "/", "vendor"])
    await refusal(client.exportWorkspace("web", { submodule }), "not_found");
  // A link in its place is a link.
  rmSync(lib, { recursive: true });
  symlinkSync(host, lib);
  const before = hashTree(host, { workTree: true });
  expect((await world.patch()).toString()).toContain("new file mode 120000");
  await client.syncWorkspace("web", { force: true });
  expect((await client.pullWorkspace("web")).submodules).toEqual([]);
  expect(hashTree(host, { workTree: true })).toBe(before);
  expect(existsSync(ran)).toBe(false);
});

test("names and links of a guest lead nowhere on the host", async () => {
  await using world = await createWorkspaceDaemon();
  const guest = world.at("guest");
  createRepository(world.at("repo"), { "a.txt": "one\n", "dir/b.txt": "b\n" });
  put(world.at("outside"), { "b.txt": "outside\n" });
  await world.bring();
  const before = [hashTree(world.at("repo")), hashTree(world.at("outside"))];
  rmSync(`${guest}/dir`, { recursive: true });
  symlinkSync(world.at("outside"), `${guest}/dir`);
  symlinkSync("/etc/passwd", `${guest}/passwd`);
  symlinkSync("../../../../etc", `${guest}/.gitignore`);
  mkdirSync(`${guest}/.GIT`);
  put(guest, { ".GIT/config": "evil\n", "sub/.git/config": "evil\n", "sub/file": "inside\n" });
  const patch = (await world.patch()).toString();
  expect(patch).toContain("+/etc/passwd");
  expect(patch).not.toContain("root:");
  expect(patch).not.toContain("evil");
  expect(patch).not.toContain("inside");
  expect([hashTree(world.at("repo")), hashTree(world.at("outside"))]).toEqual(before);
});

test("a link in place of a .gitignore leads to no new file", async () => {
  await using world = await createWorkspaceDaemon();
  const [guest, outside] = [world.at("guest"), world.at("outside")];
  createRepository(world.at("repo"), {
    ".gitignore": "*.o\n",
    "sub/.gitignore": "*.a\n",
    "there/.gitignore": "*.d\n",
    ".gitattributes/.gitignore": "*.b\n",
  });
  mkdirSync(outside);
  put(outside, { there: "kept\n" });
  await world.bring();
  const before = hashTree(outside);
  for (const [name, target] of [
    [".gitignore", "/made"],
    ["there/.gitignore", "/there"],
    ["sub", ""],
    [".gitattributes", ""],
  ]) {
    rmSync(`${guest}/${name}`, { recursive: true });
    symlinkSync(`${outside}${target}`, `${guest}/${name}`);
  }
  put(guest, { "new.txt": "new\n" });
  expect((await world.patch()).toString()).toContain("+new");
  expect(hashTree(outside)).toBe(before);
});

test("objects and references that are not what they say are refused, or lead nowhere", async () => {
  await using world = await createWorkspaceDaemon();
  const guest = world.at("guest");
  createRepository(world.at("repo"), { "a.txt": "one\n" });
  await world.bring();
  put(guest, { "a.txt": "two\n" });
  git(guest, "commit", "-q", "-a", "-m", "second");
  writeFileSync(`${guest}/.git/refs/heads/..evil`, `${git(guest, "rev-parse", "HEAD")}\n`);
  writeFileSync(`${guest}/.git/refs/heads/gone`, `${"1".repeat(40)}\n`);
  writeFileSync(`${guest}/.git/packed-refs`, "nonsense\n\0\n../../x y\n");
  expect((await world.patch("HEAD")).length).toBe(0);
  expect((await refusal(world.patch("gone"), "not_found")).message).toContain("no revision");
  expect((await refusal(world.patch("--output=/tmp/x"), "not_found")).message).toContain("no revision");
  const [directory = ""] = readdirSync(`${guest}/.git/objects`).filter((name) => /^[0-9a-f]{2}$/.test(name));
  const blob = git(guest, "hash-object", "-w", "a.txt");
  const other = `${guest}/.git/objects/${directory}/${"0".repeat(38)}`;
  writeFileSync(other, readFileSync(`${guest}/.git/objects/${blob.slice(0, 2)}/${blob.slice(2)}`));
  expect((await refusal(world.patch("HEAD"), "guest_error")).message).toContain("not what its name says");
});
