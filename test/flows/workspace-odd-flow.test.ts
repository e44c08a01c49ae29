/** Workspaces of repositories that are not plain: what arrives is a clone all the same, or nothing does and the reason is said. */
import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { ErrorCode } from "../../src/model/errors.ts";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

/** What a clone must have in common with the repository that it is of. */
function facts(directory: string): Record<string, string> {
  return {
    log: git(directory, "log", "--all", "--format=%H %P", "--date-order"),
    head: git(directory, "rev-parse", "HEAD"),
    branch: git(directory, "branch", "--show-current"),
    status: git(directory, "status", "--porcelain"),
    refs: git(directory, "for-each-ref"),
    files: git(directory, "ls-files", "-s", "-t"),
  };
}

const FILES = { "a.txt": "one\n", "sub/b.txt": "b\n" };

const KINDS: readonly (readonly [string, (world: WorkspaceDaemon) => string])[] = [
  [
    "a detached HEAD",
    (world) => {
      createRepository(world.at("repo"), FILES);
      git(world.at("repo"), "commit", "-q", "--allow-empty", "-m", "second");
      git(world.at("repo"), "checkout", "-q", "--detach", "HEAD~1");
      return world.at("repo");
    },
  ],
  [
    "a linked work tree",
    (world) => {
      createRepository(world.at("main"), FILES);
      git(world.at("main"), "worktree", "add", "-q", "-b", "side", world.at("repo"));
      put(world.at("repo"), { "a.txt": "changed\n" });
      return world.at("repo");
    },
  ],
  [
    "a shallow clone",
    (world) => {
      createRepository(world.at("origin"), FILES);
      for (const name of ["2", "3", "4"])
        git(world.at("origin"), "commit", "-q", "--allow-empty", "-m", name);
      git(
        world.at("origin"),
        "clone",
        "-q",
        "--depth",
        "2",
        `file://${world.at("origin")}`,
        world.at("repo"),
      );
      return world.at("repo");
    },
  ],
  [
    "a sparse checkout",
    (world) => {
      createRepository(world.at("repo"), { ...FILES, "other/c.txt": "c\n" });
      git(world.at("repo"), "sparse-checkout", "set", "sub");
      return world.at("repo");
    },
  ],
  [
    "objects named by SHA-256",
    (world) => {
      mkdirSync(world.at("repo"));
      git(world.at("repo"), "init", "-q", "-b", "main", "--object-format=sha256");
      put(world.at("repo"), FILES);
      git(world.at("repo"), "add", "-A");
      git(world.at("repo"), "commit", "-q", "-m", "first");
      return world.at("repo");
    },
  ],
];

for (const [kind, make] of KINDS) {
  test(`a repository with ${kind} arrives as it is, and its patch comes back`, async () => {
    await using world = await createWorkspaceDaemon();
    const host = make(world);
    const before = hashTree(host);
    await world.bring();
    expect(hashTree(host)).toBe(before);
    expect(facts(world.at("guest"))).toEqual(facts(host));
    expect(git(world.at("guest"), "fsck", "--full")).toBe("");
    put(world.at("guest"), { "sub/b.txt": "b\nmore\n" });
    writeFileSync(world.at("patch"), await world.patch());
    git(host, "apply", "--index", world.at("patch"));
    expect(readFileSync(`${host}/sub/b.txt`, "utf8")).toBe("b\nmore\n");
  });
}

test("a repository without a commit arrives, with what was added and what was not", async () => {
  await using world = await createWorkspaceDaemon();
  mkdirSync(world.at("repo"));
  git(world.at("repo"), "init", "-q", "-b", "main");
  put(world.at("repo"), { "added.txt": "added\n", "not.txt": "not\n" });
  git(world.at("repo"), "add", "added.txt");
  await world.bring();
  expect(git(world.at("guest"), "status", "--porcelain")).toBe("A  added.txt");
  expect(git(world.at("guest"), "symbolic-ref", "HEAD")).toBe("refs/heads/main");
  put(world.at("guest"), { "more.txt": "more\n" });
  expect((await world.patch()).toString()).toContain("+more");
});

test("--depth cuts the history, and --branch with --from starts a branch elsewhere", async () => {
  await using world = await createWorkspaceDaemon();
  const host = world.at("repo");
  createRepository(host, FILES);
  git(host, "tag", "old");
  for (const name of ["2", "3", "4"]) {
    put(host, { "a.txt": `${name}\n` });
    git(host, "commit", "-q", "-a", "-m", name);
  }
  put(host, { "a.txt": "not committed\n" });
  await world.bring({ depth: 2 });
  expect(git(world.at("guest"), "log", "--format=%s")).toBe("4\n3");
  expect(git(world.at("guest"), "tag")).toBe("");
  expect(git(world.at("guest"), "fsck", "--full")).toBe("");
  expect(git(world.at("guest"), "status", "--porcelain")).toBe(" M a.txt");
  await world.daemon.client.createVm({ name: "two", image: "img" });
  const wish = { path: host, guestPath: world.at("guest2"), branch: "fix", from: "old" };
  const workspace = await world.daemon.client.importWorkspace("two", wish);
  expect(workspace).toMatchObject({ branch: "fix", head: git(host, "rev-parse", "old") });
  expect(git(world.at("guest2"), "status", "--porcelain", "--branch")).toBe("## fix");
  expect(readFileSync(world.at("guest2/a.txt"), "utf8")).toBe("one\n");
  expect(git(host, "branch")).toBe("* main");
});

test("a pointer of LFS stays a pointer, and no filter is run", async () => {
  await using world = await createWorkspaceDaemon();
  const host = world.at("repo");
  const content = "large\n";
  const digest = new Bun.CryptoHasher("sha256").update(content).digest("hex");
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${digest}\nsize ${content.length}\n`;
  createRepository(host, { "big.bin": pointer, "b.txt": "b\n" });
  put(host, { ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n" });
  git(host, "add", ".gitattributes");
  git(host, "commit", "-q", "-m", "lfs");
  git(host, "config", "filter.lfs.clean", `touch ${world.at("ran")}; cat`);
  git(host, "config", "filter.lfs.smudge", `touch ${world.at("ran")}; cat`);
  put(host, { "big.bin": content });
  await world.bring();
  expect(readFileSync(world.at("guest/big.bin"), "utf8")).toBe(pointer);
  expect(git(world.at("guest"), "status", "--porcelain")).toBe("");
  expect((await world.patch()).length).toBe(0);
  expect(existsSync(world.at("ran"))).toBe(false);
});

const REFUSED: readonly (readonly [string, ErrorCode, RegExp, (repo: string) => void])[] = [
  [
    "a merge in progress",
    "failed_precondition",
    /in the middle of a merge/,
    (repo) => put(repo, { ".git/MERGE_HEAD": "" }),
  ],
  [
    "an index that is locked",
    "conflict",
    /another git is at work/,
    (repo) => put(repo, { ".git/index.lock": "" }),
  ],
  ["a damaged index", "failed_precondition", /git/, (repo) => put(repo, { ".git/index": "nonsense" })],
  [
    "a work tree elsewhere",
    "failed_precondition",
    /work tree/,
    (repo) => git(repo, "config", "core.worktree", "/etc"),
  ],
];

for (const [what, code, words, spoil] of REFUSED) {
  test(`a repository with ${what} is refused, and nothing is made`, async () => {
    await using world = await createWorkspaceDaemon();
    createRepository(world.at("repo"), FILES);
    spoil(world.at("repo"));
    const before = hashTree(world.at("repo"));
    const error = await refusal(world.bring(), code);
    expect(error.message).toMatch(words);
    expect(hashTree(world.at("repo"))).toBe(before);
    expect(readdirSync(world.at()).toSorted()).toEqual(["repo"]);
  });
}

test("a place that is taken, a second workspace and conflicts are refused", async () => {
  await using world = await createWorkspaceDaemon();
  createRepository(world.at("repo"), FILES);
  mkdirSync(world.at("guest"));
  expect((await refusal(world.bring(), "failed_precondition")).message).toContain("is there already");
  rmSync(world.at("guest"), { recursive: true });
  await world.bring();
  expect((await refusal(world.bring(), "failed_precondition")).message).toContain("has a workspace already");
  git(world.at("repo"), "checkout", "-q", "-b", "side");
  put(world.at("repo"), { "a.txt": "side\n" });
  git(world.at("repo"), "commit", "-q", "-a", "-m", "side");
  git(world.at("repo"), "checkout", "-q", "main");
  put(world.at("repo"), { "a.txt": "main\n" });
  git(world.at("repo"), "commit", "-q", "-a", "-m", "main");
  Bun.spawnSync(["git", "merge", "-q", "side"], { cwd: world.at("repo") });
  rmSync(world.at("repo/.git/MERGE_HEAD"), { force: true });
  await world.daemon.client.createVm({ name: "two", image: "img" });
  const wish = { path: world.at("repo"), guestPath: world.at("guest2") };
  const error = await refusal(world.daemon.client.importWorkspace("two", wish), "failed_precondition");
  expect(error.message).toContain("conflicts");
  expect(readdirSync(world.at()).toSorted()).toEqual(["guest", "repo"]);
});

test("a directory that became a link is not followed, and what is behind it stays at home", async () => {
  await using world = await createWorkspaceDaemon();
  createRepository(world.at("repo"), FILES);
  put(world.at("secret"), { "b.txt": "secret\n" });
  rmSync(world.at("repo/sub"), { recursive: true });
  symlinkSync(world.at("secret"), world.at("repo/sub"));
  await world.bring();
  expect(existsSync(world.at("guest/sub"))).toBe(false);
  expect(git(world.at("guest"), "status", "--porcelain")).toBe(" D sub/b.txt");
});
