/** Copies of work trees that break off: the reason is said, the host is as before, and nothing is left under its name in the guest. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { BangerError } from "../../src/model/errors.ts";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, hashTree, put } from "../support/repositories.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

const FILES = { "a.txt": "one\n", "sub/b.txt": "b\n" };

/** What happens on the host between the look at a file and its copy. */
const SPOILT: readonly (readonly [string, (world: WorkspaceDaemon) => void])[] = [
  ["vanishes", (world) => rmSync(world.at("repo/sub/b.txt"))],
  ["changes", (world) => writeFileSync(world.at("repo/sub/b.txt"), "another\n")],
  [
    "becomes a link",
    (world) => {
      rmSync(world.at("repo/sub/b.txt"));
      symlinkSync("/etc/passwd", world.at("repo/sub/b.txt"));
    },
  ],
];

for (const [what, spoil] of SPOILT) {
  test(`a file that ${what} while it is copied ends the copy, and another attempt succeeds`, async () => {
    let act: (() => void) | undefined;
    await using world = await createWorkspaceDaemon({
      onStep: (step) => step === "workspace:send" && act?.(),
    });
    createRepository(world.at("repo"), FILES);
    let before = "";
    act = () => {
      spoil(world);
      before = hashTree(world.at("repo"));
    };
    const error = await refusal(world.bring(), "conflict");
    expect(error.message).toContain("sub/b.txt changed while it was copied");
    expect(readdirSync(world.at()).toSorted()).toEqual(["repo"]);
    expect(hashTree(world.at("repo"))).toBe(before);
    act = undefined;
    await world.bring();
    expect(git(world.at("guest"), "status", "--porcelain")).toBe(
      git(world.at("repo"), "status", "--porcelain"),
    );
  });
}

for (const step of ["workspace:stage", "workspace:send", "workspace:name"]) {
  test(`a copy that is cancelled at ${step} leaves nothing or the whole, and is there after another attempt`, async () => {
    const abort = new AbortController();
    await using world = await createWorkspaceDaemon({ onStep: (now) => now === step && abort.abort() });
    createRepository(world.at("repo"), FILES);
    const before = hashTree(world.at("repo"));
    const wish = { path: world.at("repo"), guestPath: world.at("guest") };
    const cancelled = world.daemon.client.importWorkspace("web", wish, { signal: abort.signal });
    await refusal(cancelled);
    // Whoever comes next waits until the daemon is done with the first, which may have arrived before the daemon heard of the end: that
    // comes by the socket, and from whatever step on a daemon may be quicker.
    const again = await world.bring().catch((error: unknown) => BangerError.from(error).code);
    if (typeof again === "string") expect(again).toBe("failed_precondition");
    else expect(again).toMatchObject({ guestPath: wish.guestPath });
    expect(git(world.at("guest"), "status", "--porcelain")).toBe("");
    expect(readdirSync(world.at()).toSorted()).toEqual(["guest", "repo"]);
    expect(readdirSync(world.daemon.layout.workspacesDir)).toEqual([]);
    expect(hashTree(world.at("repo"))).toBe(before);
  });
}

test("a link that the guest puts in the place of a file is replaced by a sync, and not followed", async () => {
  await using world = await createWorkspaceDaemon();
  const [host, guest] = [world.at("repo"), world.at("guest")];
  createRepository(host, FILES);
  put(world.at("outside"), { "b.txt": "outside\n", HEAD: "outside\n" });
  await world.bring();
  for (const [path, target] of [
    [`${guest}/a.txt`, world.at("outside/b.txt")],
    [`${guest}/.git/refs/heads/main`, world.at("outside/HEAD")],
  ] as const) {
    rmSync(path, { force: true });
    symlinkSync(target, path);
  }
  put(host, { "a.txt": "host\n" });
  git(host, "commit", "-q", "-a", "-m", "second");
  await refusal(world.daemon.client.syncWorkspace("web"), "conflict");
  await world.daemon.client.syncWorkspace("web", { force: true });
  expect(readFileSync(`${guest}/a.txt`, "utf8")).toBe("host\n");
  expect(git(guest, "rev-parse", "HEAD")).toBe(git(host, "rev-parse", "HEAD"));
  expect(["b.txt", "HEAD"].map((name) => readFileSync(world.at("outside", name), "utf8"))).toEqual([
    "outside\n",
    "outside\n",
  ]);
});
