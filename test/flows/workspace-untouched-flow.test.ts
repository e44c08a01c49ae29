/** The host's work tree and index, hashed before and after whatever is done with a workspace, or goes wrong with it; and what exactly travels. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { BangerError } from "../../src/model/errors.ts";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

const FILES = { "a.txt": "one\n", "sub/b.txt": "b\n", "c.txt": "c\n" };
const ODD = Buffer.concat([Buffer.from('odd\n"\t\\ä '), Buffer.from([0xff, 0xfe])]);

/** Everything of the host's repository but what a pull is there to add: objects, and references that are not checked out. */
function untouched(host: string): string {
  const branch = git(host, "rev-parse", "--symbolic-full-name", "HEAD");
  const index = readFileSync(`${host}/.git/index`, "base64");
  const head = [readFileSync(`${host}/.git/HEAD`, "utf8"), git(host, "rev-parse", "HEAD"), branch];
  return JSON.stringify([index, head, hashTree(host, { workTree: true })]);
}

/** Files and links below a directory, without any `.git`: names as hex, with what is in them. */
function contents(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (path: Buffer, below: Buffer): void => {
    for (const name of readdirSync(path, { encoding: "buffer" })) {
      if (name.toString("latin1") === ".git") continue;
      const at = Buffer.concat([path, Buffer.from("/"), name]);
      const key = below.length === 0 ? name : Buffer.concat([below, Buffer.from("/"), name]);
      const status = lstatSync(at);
      if (status.isDirectory()) walk(at, key);
      else if (status.isSymbolicLink()) found.set(key.toString("hex"), `-> ${readlinkSync(at)}`);
      else found.set(key.toString("hex"), `${status.mode & 0o100} ${readFileSync(at, "base64")}`);
    }
  };
  walk(Buffer.from(directory), Buffer.alloc(0));
  return found;
}

/** As git lists it with `core.quotePath`: what a dry run prints, back to bytes. */
function unquoted(shown: string): string {
  if (!shown.startsWith('"')) return Buffer.from(shown).toString("hex");
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", '"': '"', "\\": "\\" };
  const text = shown
    .slice(1, -1)
    .replaceAll(/\\([0-7]{3}|.)/g, (_, one: string) =>
      one.length === 3 ? String.fromCharCode(Number.parseInt(one, 8)) : (escapes[one] ?? one),
    );
  return Buffer.from(text, "latin1").toString("hex");
}

async function createOdd(): Promise<WorkspaceDaemon> {
  const world = await createWorkspaceDaemon();
  const host = world.at("repo");
  createRepository(world.at("lib"), { "lib.c": "x\n" });
  createRepository(host, {
    ...FILES,
    ".gitignore": "*.log\n",
    "run.sh": "#!/bin/sh\n",
    "gone.txt": "gone\n",
  });
  writeFileSync(Buffer.concat([Buffer.from(`${host}/`), ODD]), Buffer.from([0, 255, 10]));
  chmodSync(`${host}/run.sh`, 0o755);
  symlinkSync("nowhere\nat all", `${host}/link`);
  git(host, "submodule", "--quiet", "add", world.at("lib"), "vendor/lib");
  git(host, "add", "-A");
  git(host, "commit", "-q", "-m", "odd");
  put(host, {
    "a.txt": "changed\n",
    "staged.txt": "staged\n",
    "untracked ä.txt": "u\n",
    "x.log": "ignored\n",
  });
  git(host, "add", "staged.txt");
  rmSync(`${host}/gone.txt`);
  return world;
}

for (const includeUntracked of [false, true]) {
  test(`a dry run names exactly what arrives, byte for byte${includeUntracked ? ", untracked files included" : ""}`, async () => {
    await using world = await createOdd();
    const host = world.at("repo");
    const before = hashTree(host);
    const wish = { path: host, guestPath: world.at("guest"), includeUntracked };
    const preview = await world.daemon.client.previewWorkspace(wish);
    expect(hashTree(host)).toBe(before);
    expect(readdirSync(world.at()).toSorted()).toEqual(["lib", "repo"]);
    await world.bring({ includeUntracked });
    expect(hashTree(host)).toBe(before);
    const arrived = contents(world.at("guest"));
    expect(preview.files.map(unquoted).toSorted()).toEqual([...arrived.keys()].toSorted());
    const here = contents(host);
    for (const [name, content] of arrived)
      expect([name, content]).toEqual([name, here.get(name) ?? "not here"]);
    const size = (name: string): number =>
      lstatSync(Buffer.concat([Buffer.from(`${host}/`), Buffer.from(name, "hex")])).size;
    expect(preview.bytes).toBe([...arrived.keys()].reduce((sum, name) => sum + size(name), 0));
    expect(arrived.has(Buffer.from("untracked ä.txt").toString("hex"))).toBe(includeUntracked);
  });
}

test("names with newlines and invalid UTF-8 go both ways: in a patch, in a pull and in a sync", async () => {
  await using world = await createOdd();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  const { client } = world.daemon;
  await world.bring();
  const at = (directory: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${directory}/`), name]);
  const other = Buffer.concat([Buffer.from("new\n"), Buffer.from([0xc3])]);
  writeFileSync(at(guest, ODD), "of the guest\n");
  writeFileSync(at(guest, other), "new\n");
  const before = untouched(host);
  writeFileSync(world.at("patch"), await world.patch());
  git(guest, "add", "-A");
  git(guest, "commit", "-q", "-m", "odd");
  await client.pullWorkspace("web");
  expect(git(host, "rev-parse", "banger/web")).toBe(git(guest, "rev-parse", "HEAD"));
  expect(untouched(host)).toBe(before);
  git(host, "apply", "--index", world.at("patch"));
  expect(readFileSync(at(host, ODD), "utf8")).toBe("of the guest\n");
  expect(readFileSync(at(host, other), "utf8")).toBe("new\n");
  git(guest, "reset", "-q", "HEAD~1");
  writeFileSync(at(host, other), "of the host\n");
  const error = await refusal(client.syncWorkspace("web"), "conflict");
  expect(error.message).toContain(String.raw`"new\n\303"`);
  await client.syncWorkspace("web", { force: true });
  expect(readFileSync(at(guest, other), "utf8")).toBe("of the host\n");
});

/** What is done with a workspace, and how it ends: none of it is seen in the host's work tree and index. */
const ACTS: readonly (readonly [string, (world: WorkspaceDaemon) => Promise<unknown>])[] = [
  ["an export", async (world) => await world.patch()],
  [
    "an export against a revision that is not there",
    async (world) => await refusal(world.patch("none"), "not_found"),
  ],
  ["a pull", async (world) => await world.daemon.client.pullWorkspace("web")],
  ["a sync", async (world) => await world.daemon.client.syncWorkspace("web", { force: true })],
  [
    "a sync that is refused",
    async (world) => {
      put(world.at("guest"), { "a.txt": "of the guest\n" });
      await refusal(world.daemon.client.syncWorkspace("web"), "conflict");
    },
  ],
  [
    "a pull of a history that leads nowhere",
    async (world) => {
      git(world.at("guest"), "commit", "-q", "-a", "-m", "more");
      const blob = git(world.at("guest"), "rev-parse", "HEAD:sub/b.txt");
      rmSync(world.at(`guest/.git/objects/${blob.slice(0, 2)}/${blob.slice(2)}`));
      rmSync(world.at("guest/sub/b.txt"));
      await refusal(world.daemon.client.pullWorkspace("web"));
    },
  ],
  [
    "a link of the guest where a file was",
    async (world) => {
      rmSync(world.at("guest/c.txt"));
      symlinkSync(world.at("repo/a.txt"), world.at("guest/c.txt"));
      rmSync(world.at("guest/sub"), { recursive: true });
      symlinkSync(world.at("repo/sub"), world.at("guest/sub"));
      expect((await world.patch()).toString()).toContain("new file mode 120000");
      await world.daemon.client
        .syncWorkspace("web", { force: true })
        .catch((error: unknown) => BangerError.from(error));
    },
  ],
  [
    "a workspace that is gone in the guest",
    async (world) => {
      renameSync(world.at("guest"), world.at("elsewhere"));
      await refusal(world.patch());
      await refusal(world.daemon.client.pullWorkspace("web"));
      await refusal(world.daemon.client.syncWorkspace("web"));
    },
  ],
  [
    "a guest that dies under it",
    async (world) => {
      await world.daemon.client.killVm("web");
      await refusal(world.patch(), "failed_precondition");
      await refusal(world.daemon.client.pullWorkspace("web"), "failed_precondition");
      await refusal(world.daemon.client.syncWorkspace("web"), "failed_precondition");
    },
  ],
];

for (const [what, act] of ACTS) {
  for (const detached of [false, true]) {
    test(`${what} leaves the host's work tree and index as they are${detached ? ", with a detached HEAD" : ""}`, async () => {
      await using world = await createWorkspaceDaemon();
      const host = world.at("repo");
      createRepository(host, FILES);
      git(host, "commit", "-q", "--allow-empty", "-m", "second");
      if (detached) git(host, "checkout", "-q", "--detach", "HEAD~1");
      await world.bring();
      put(world.at("guest"), { "sub/b.txt": "of the guest\n" });
      put(host, { "a.txt": "of the host\n", "staged.txt": "staged\n" });
      git(host, "add", "staged.txt");
      const before = untouched(host);
      await act(world);
      expect(untouched(host)).toBe(before);
    });
  }
}

/** Where a copy is refused: nothing of the host is changed, and nothing is in the guest. */
const REFUSED: readonly (readonly [string, RegExp, (world: WorkspaceDaemon) => string])[] = [
  [
    "a bare repository",
    /bare repository/,
    (world) => {
      createRepository(world.at("repo"), FILES);
      git(world.at(), "clone", "-q", "--bare", world.at("repo"), "bare.git");
      return world.at("bare.git");
    },
  ],
  [
    "what is no repository",
    /no git repository/,
    (world) => {
      put(world.at("plain"), FILES);
      return world.at("plain");
    },
  ],
  [
    "a rebase in progress",
    /in the middle of a rebase/,
    (world) => {
      createRepository(world.at("repo"), FILES);
      mkdirSync(world.at("repo/.git/rebase-merge"));
      return world.at("repo");
    },
  ],
  [
    "the .git of a repository",
    /not in a work tree/,
    (world) => {
      createRepository(world.at("repo"), FILES);
      return world.at("repo/.git");
    },
  ],
  ["a path that is not there", /there is no directory/, (world) => world.at("none")],
];

for (const [what, words, make] of REFUSED) {
  test(`${what} is refused, and the host is as it was`, async () => {
    await using world = await createWorkspaceDaemon();
    const path = make(world);
    const before = hashTree(world.at());
    const error = await refusal(world.bring({ path }));
    expect(error.message).toMatch(words);
    expect(error.cure).toBeDefined();
    expect(hashTree(world.at())).toBe(before);
  });
}

test("a patch that does not apply is refused by git, and leaves work tree and index as they were", async () => {
  await using world = await createWorkspaceDaemon();
  const host = world.at("repo");
  createRepository(host, FILES);
  await world.bring();
  put(world.at("guest"), { "a.txt": "of the guest\n", "new.txt": "new\n" });
  writeFileSync(world.at("patch"), await world.patch());
  for (const spoil of [
    () => put(host, { "a.txt": "of the host\n" }),
    () => git(host, "commit", "-q", "-a", "-m", "of the host"),
    () => put(host, { "new.txt": "in the way\n" }),
  ]) {
    spoil();
    const before = untouched(host);
    expect(() => git(host, "apply", "--index", world.at("patch"))).toThrow("a.txt");
    expect(untouched(host)).toBe(before);
  }
});
