/** Submodules of a workspace: they travel as repositories of their own, and what is done in them comes back and goes there like the rest. */
import { expect, test } from "bun:test";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

interface Nested extends WorkspaceDaemon {
  readonly host: string;
  readonly guest: string;
}

/** `repo` with the submodule `vendor/lib`, that with `inner é`; both fetched. */
async function createNested(): Promise<Nested> {
  const world = await createWorkspaceDaemon();
  createRepository(world.at("inner"), { "i.txt": "i\n" });
  createRepository(world.at("lib"), { "lib.c": "int x;\n", ".gitignore": "*.o\n" });
  git(world.at("lib"), "submodule", "--quiet", "add", world.at("inner"), "inner é");
  git(world.at("lib"), "commit", "-q", "-m", "with a submodule");
  createRepository(world.at("repo"), { "a.txt": "a\n" });
  git(world.at("repo"), "submodule", "--quiet", "add", world.at("lib"), "vendor/lib");
  git(world.at("repo"), "submodule", "--quiet", "update", "--init", "--recursive");
  git(world.at("repo"), "commit", "-q", "-m", "with a submodule");
  return { ...world, host: world.at("repo"), guest: world.at("guest") };
}

const LIB = "vendor/lib";
const INNER = "vendor/lib/inner é";

/** Work trees and indexes of all three, but no object, no reference. */
function untouched(host: string): unknown {
  return ["", LIB, INNER].map((path) => {
    const top = `${host}/${path}`;
    const index = git(top, "rev-parse", "--absolute-git-dir");
    return [
      git(top, "status", "--porcelain"),
      git(top, "rev-parse", "HEAD"),
      readFileSync(`${index}/index`, "base64"),
    ];
  });
}

async function patchOf(world: Nested, submodule: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  const patch = await world.daemon.client.exportWorkspace("web", { submodule });
  for await (const piece of patch) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

test("submodules arrive as clones, and their patches are told of, exported one by one, and taken by git apply --index", async () => {
  await using world = await createNested();
  const { host, guest } = world;
  const workspace = await world.bring();
  expect(workspace.submodules.map(({ path }) => path)).toEqual([LIB, INNER]);
  expect(workspace.submodules[0]?.head).toBe(git(`${host}/${LIB}`, "rev-parse", "HEAD"));
  for (const path of ["", LIB, INNER]) {
    const facts = (top: string): string =>
      ["status --porcelain", "log --format=%H", "for-each-ref", "ls-files -s", "submodule status"]
        .map((args) => git(`${top}/${path}`, ...args.split(" ")))
        .join("\n");
    expect(facts(guest)).toBe(facts(host));
  }
  expect(await world.leftOut()).toEqual([]);
  put(guest, { "a.txt": "changed\n", [`${LIB}/lib.c`]: "int y;\n", [`${LIB}/x.o`]: "ignored\n" });
  put(guest, { [`${INNER}/bin`]: Buffer.from([0, 255]) });
  git(`${guest}/${LIB}`, "commit", "-q", "-a", "-m", "in the guest");
  put(guest, { [`${LIB}/new.c`]: "new\n" });
  const said = await world.leftOut();
  expect(said).toEqual([
    expect.stringContaining(`--submodule ${LIB}`),
    expect.stringContaining(`--submodule ${INNER}`),
  ]);
  expect((await world.patch()).toString()).not.toContain("lib.c");
  for (const [path, status] of [
    ["", "M  a.txt"],
    [INNER, "A  bin"],
    [LIB, "M  lib.c\nA  new.c"],
  ] as const) {
    const patch = path === "" ? (await world.patch()).toString("latin1") : await patchOf(world, path);
    writeFileSync(world.at("p.patch"), Buffer.from(patch, "latin1"));
    git(`${host}/${path}`, "apply", "--index", world.at("p.patch"));
    expect(git(`${host}/${path}`, "status", "--porcelain", "--ignore-submodules")).toBe(status);
    git(`${host}/${path}`, "apply", "--index", "-R", world.at("p.patch"));
  }
  const error = await refusal(patchOf(world, "vendor"), "not_found");
  expect(error.cure).toContain(`${LIB}, ${INNER}`);
});

test("pull brings the commits of submodules as branches of their repositories, before those of what is around them", async () => {
  await using world = await createNested();
  const { host, guest } = world;
  const { client } = world.daemon;
  await world.bring();
  expect(await client.pullWorkspace("web")).toMatchObject({ commits: 0, submodules: [] });
  expect(git(`${host}/${LIB}`, "branch", "--list", "banger/*")).toBe("");
  const before = untouched(host);
  put(guest, { [`${LIB}/lib.c`]: "int y;\n" });
  git(`${guest}/${LIB}`, "commit", "-q", "-a", "-m", "in the guest");
  git(guest, "commit", "-q", "-a", "-m", "the submodule moved");
  put(guest, { [`${INNER}/i.txt`]: "not committed\n" });
  const head = git(`${guest}/${LIB}`, "rev-parse", "HEAD");
  expect(await client.pullWorkspace("web")).toMatchObject({
    branch: "banger/web",
    commits: 1,
    submodules: [
      { path: LIB, branch: "banger/web", head, commits: 1 },
      { path: INNER, commits: 0, uncommitted: true },
    ],
  });
  expect(git(host, "rev-parse", `banger/web:${LIB}`)).toBe(head);
  expect(git(`${host}/${LIB}`, "rev-parse", "banger/web")).toBe(head);
  expect(git(`${host}/${LIB}`, "fsck", "--full", "--strict")).not.toContain("missing");
  expect(git(`${host}/${INNER}`, "branch", "--list", "banger/*")).toBe("");
  expect(untouched(host)).toEqual(before);
  git(`${guest}/${LIB}`, "commit", "-q", "-a", "--amend", "-m", "another");
  const lost = await refusal(client.pullWorkspace("web"), "conflict");
  expect(lost.message).toStartWith(`${LIB}: the branch banger/web has commits`);
  expect(lost.details).toMatchObject({ submodule: LIB });
  expect(await client.pullWorkspace("web", { force: true })).toMatchObject({
    submodules: [{ commits: 1 }, {}],
  });
  rmSync(`${host}/${LIB}`, { recursive: true });
  const { notes } = await client.pullWorkspace("web");
  expect(notes).toEqual(
    [
      `"${INNER.replace("é", "\\303\\251")}": no repository on the host any more, and commits in it stay in the guest`,
      `${LIB}: no repository on the host any more, and commits in it stay in the guest`,
    ].map((note) => expect.stringContaining(note.slice(note.indexOf(": no")))),
  );
});

test("sync sends what is new in submodules, and nothing at all where one of them was changed on both sides", async () => {
  await using world = await createNested();
  const { host, guest } = world;
  const { client } = world.daemon;
  await world.bring();
  expect(await client.syncWorkspace("web")).toMatchObject({ files: 0, removed: 0, bytes: 0, notes: [] });
  put(host, { [`${LIB}/lib.c`]: "int z;\n" });
  git(`${host}/${LIB}`, "commit", "-q", "-a", "-m", "on the host");
  git(host, "add", LIB);
  put(host, { [`${INNER}/more.txt`]: "more\n" });
  git(`${host}/${INNER}`, "add", "more.txt");
  const before = untouched(host);
  expect(await client.syncWorkspace("web")).toMatchObject({ files: 2, removed: 0, notes: [] });
  expect(untouched(host)).toEqual(before);
  for (const path of ["", LIB, INNER]) {
    for (const args of [
      ["status", "--porcelain"],
      ["rev-parse", "HEAD"],
      ["submodule", "status"],
    ])
      expect(git(`${guest}/${path}`, ...args)).toBe(git(`${host}/${path}`, ...args));
    expect(git(`${guest}/${path}`, "fsck", "--full")).not.toContain("missing");
  }
  expect(await world.leftOut()).toEqual([]);
  put(guest, { [`${LIB}/lib.c`]: "of the guest\n" });
  put(host, { [`${LIB}/lib.c`]: "of the host\n", "a.txt": "of the host\n" });
  const there = hashTree(guest);
  const error = await refusal(client.syncWorkspace("web"), "conflict");
  expect(error.message).toContain(`: ${LIB}: lib.c`);
  expect(hashTree(guest)).toBe(there);
  expect(await client.syncWorkspace("web", { force: true })).toMatchObject({ files: 2 });
  expect(readFileSync(`${guest}/${LIB}/lib.c`, "utf8")).toBe("of the host\n");
});

test("submodules that come and go are said, and their files are never taken for the outer repository's", async () => {
  await using world = await createNested();
  const { host, guest } = world;
  const { client } = world.daemon;
  await world.bring();
  git(host, "submodule", "--quiet", "add", world.at("inner"), "late");
  const late = await client.syncWorkspace("web");
  expect(late.notes).toEqual([expect.stringContaining("late: this submodule did not travel")]);
  rmSync(`${guest}/${INNER}`, { recursive: true });
  expect(await world.leftOut()).toEqual([expect.stringContaining("gone in the guest")]);
  expect((await world.patch()).length).toBe(0);
  expect((await client.syncWorkspace("web")).notes.join("\n")).toContain(
    "no repository in the guest any more",
  );
  // What is a repository no more is files like others, and all of them.
  rmSync(`${guest}/${LIB}/.git`, { recursive: true });
  const patch = (await world.patch()).toString();
  expect(patch).toContain(`+++ b/${LIB}/lib.c`);
  expect(patch).toContain(`+++ b/${LIB}/.gitignore`);
  expect(await world.leftOut()).not.toContainEqual(expect.stringContaining("--submodule"));
});

test("a fork has the submodules of the workspace that it comes from", async () => {
  await using world = await createNested();
  const { client } = world.daemon;
  await world.bring();
  await client.forkVm("web", { prefix: "twin" });
  put(world.guest, { [`${LIB}/lib.c`]: "int y;\n" });
  const patch = await client.exportWorkspace("twin-1", { submodule: LIB });
  const pieces: Uint8Array[] = [];
  for await (const piece of patch) pieces.push(piece);
  expect(Buffer.concat(pieces).toString()).toContain("+int y;");
  renameSync(world.at("guest"), world.at("elsewhere"));
  await refusal(client.pullWorkspace("twin-1"));
});
