/** What a setup made is kept for the next run of the same work tree. The guests' files are this host's: what a disk has is not looked at here. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import type { RunRequest } from "../../src/api/types/vms.ts";
import type { ImportWorkspace } from "../../src/sdk/index.ts";
import type { Fault } from "../../src/vmm/fake/driver.ts";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, put } from "../support/repositories.ts";
import type { TestDaemonOptions } from "../support/test-daemon.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

interface Ran {
  /** How often the setup has run so far. */
  readonly setups: number;
  readonly stdout: string;
  readonly notes: readonly string[];
}

interface World extends WorkspaceDaemon {
  run(wish?: Partial<RunRequest> & { readonly tree?: Partial<ImportWorkspace> }): Promise<Ran>;
  /** A new VM finds nothing at the path: all guests share their files with this host. */
  clear(): void;
  /** Directories of what is kept. */
  kept(): readonly string[];
}

const BANGER_TOML = `setup = ["echo x >> $COUNT; cp seed.txt made.txt"]\n`;

async function createWorld(options: TestDaemonOptions = {}): Promise<World> {
  const world = await createWorkspaceDaemon({ templates: true, ...options });
  const { client, layout, templates } = world.daemon;
  // Of the VM that is there already.
  await templates.settled();
  createRepository(world.at("repo"), { "banger.toml": BANGER_TOML, "a.txt": "one\n", "seed.txt": "seed\n" });
  const count = world.at("count");
  const setups = (): number => (existsSync(count) ? readFileSync(count, "utf8").split("\n").length - 1 : 0);
  const run = async ({ tree, ...wish }: Parameters<World["run"]>[0] = {}): Promise<Ran> => {
    const workspace = { path: world.at("repo"), guestPath: world.at("guest"), ...tree };
    const { steps, inputs } = await client.planBootstrap(workspace);
    const env = { BANGER_SETUP_LOG: world.at("log"), COUNT: count };
    const [notes, decoder]: [string[], TextDecoder] = [[], new TextDecoder()];
    let stdout = "";
    const exec = { argv: ["/bin/sh", "-c", "pwd; cat a.txt made.txt"] };
    const vm = { name: "app", image: "img", env, memoryMib: 128, diskMib: 64 };
    const command = client.run(
      { vm, workspace, setup: { steps, inputs }, exec, remove: true, ...wish },
      {
        onStdout: (bytes) => void (stdout += decoder.decode(bytes)),
        onProgress: (line) => void (line.event === "note" && notes.push(line.text)),
      },
    );
    await command.exit;
    return { setups: setups(), stdout, notes };
  };
  return {
    ...world,
    run,
    clear: () => rmSync(world.at("guest"), { recursive: true, force: true }),
    kept: () => readdirSync(layout.templatesDir).filter((name) => name.endsWith("-w")),
    [Symbol.asyncDispose]: async () => await world[Symbol.asyncDispose](),
  };
}

const AGAIN = "the setup has run before, and is not run again (anew: --cold)";

test("the second run does not run the setup, and has what is new on the host", async () => {
  await using world = await createWorld();
  const place = world.at("guest");
  expect(await world.run()).toEqual({ setups: 1, stdout: `${place}\none\nseed\n`, notes: [] });
  put(world.at("repo"), { "a.txt": "two\n" });
  git(world.at("repo"), "commit", "-q", "-a", "-m", "second");
  put(world.at("repo"), { "b.txt": "new\n" });
  git(world.at("repo"), "add", "b.txt");
  expect(await world.run()).toEqual({ setups: 1, stdout: `${place}\ntwo\nseed\n`, notes: [AGAIN] });
  expect(git(place, "rev-parse", "HEAD")).toBe(git(world.at("repo"), "rev-parse", "HEAD"));
  expect(git(place, "status", "--porcelain")).toBe("A  b.txt\n?? made.txt");
});

test("work that is done after a start from what was kept comes back", async () => {
  await using world = await createWorld();
  const { client } = world.daemon;
  await world.run();
  const argv = ["/bin/sh", "-c", "echo edited > a.txt"];
  await world.run({ exec: { argv }, remove: false });
  expect(await client.showWorkspace("app")).toMatchObject({
    vm: (await client.showVm("app")).id,
    hostPath: world.at("repo"),
    guestPath: world.at("guest"),
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.exportWorkspace("app")) pieces.push(piece);
  const patch = Buffer.concat(pieces).toString();
  expect(patch).toContain("-one\n+edited\n");
  expect(patch).toContain("+++ b/made.txt");
});

test("what decides the setup runs it again: commands, inputs, branch, environment, place; --cold does, too", async () => {
  await using world = await createWorld();
  const repo = world.at("repo");
  const changes: readonly (() => Promise<Ran>)[] = [
    async () => await world.run(),
    async () => {
      put(repo, { "banger.toml": `inputs = ["lock"]\n${BANGER_TOML}` });
      return await world.run();
    },
    async () => {
      put(repo, { lock: "1\n" });
      return await world.run();
    },
    async () => {
      put(repo, { "seed.txt": "the command names it\n" });
      return await world.run();
    },
    async () => {
      put(repo, { ".tool-versions": "nodejs 20\n" });
      return await world.run();
    },
    async () => {
      put(repo, { ".tool-versions": "nodejs 22\n" });
      return await world.run();
    },
    async () => {
      git(repo, "checkout", "-q", "-b", "other");
      return await world.run();
    },
    async () => await world.run({ tree: { readonly: true } }),
    async () => await world.run({ tree: { includeUntracked: true } }),
    async () => await world.run({ tree: { branch: "b" } }),
    async () => {
      const env = { BANGER_SETUP_LOG: world.at("log"), COUNT: world.at("count"), MORE: "1" };
      return await world.run({ vm: { name: "app", image: "img", env, memoryMib: 128, diskMib: 64 } });
    },
    async () => await world.run({ cold: true }),
  ];
  for (const [at, change] of changes.entries()) {
    world.clear();
    expect((await change()).setups).toBe(at + 1);
  }
  // The last one was not kept, and the one before was.
  expect(world.kept().length).toBe(changes.length - 1);
});

test("nothing is kept of a setup that fails, of a revision, and of a VM from a snapshot", async () => {
  await using world = await createWorld();
  put(world.at("repo"), { "banger.toml": `setup = ["echo x >> $COUNT; exit 1"]\n` });
  await refusal(world.run(), "guest_error");
  world.clear();
  await refusal(world.run(), "guest_error");
  world.clear();
  expect(world.kept()).toEqual([]);
  put(world.at("repo"), { "banger.toml": BANGER_TOML });
  git(world.at("repo"), "commit", "-q", "-a", "-m", "second", "--allow-empty");
  expect((await world.run({ tree: { branch: "b", from: "HEAD" } })).setups).toBe(3);
  world.clear();
  expect(world.kept()).toEqual([]);
  await world.daemon.client.createSnapshot("web", { name: "saved" });
  const env = { BANGER_SETUP_LOG: world.at("log"), COUNT: world.at("count") };
  expect((await world.run({ vm: { name: "app", snapshot: "saved", env } })).setups).toBe(4);
  expect(world.kept()).toEqual([]);
});

test.each(["workspace", "disk.ext4", "machine/memory", "saved.json"])(
  "what was kept with a damaged %s is not used, and made anew",
  async (name) => {
    await using world = await createWorld();
    await world.run();
    const [id = ""] = world.kept();
    const file = `${world.daemon.layout.templatesDir}/${id}/${name}`;
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    writeFileSync(file, bytes);
    world.clear();
    expect((await world.run()).setups).toBe(2);
    expect(world.kept()).toEqual([id]);
    expect((await world.run()).setups).toBe(2);
  },
);

test("what was kept of another repository at the same path is not used", async () => {
  await using world = await createWorld();
  await world.run();
  rmSync(world.at("repo"), { recursive: true });
  createRepository(world.at("repo"), {
    "banger.toml": BANGER_TOML,
    "a.txt": "one\n",
    "seed.txt": "seed\n",
    b: "x",
  });
  world.clear();
  expect((await world.run()).setups).toBe(2);
});

test("a machine that does not go on is thrown away, and the setup runs", async () => {
  const faults: Fault[] = [];
  await using world = await createWorld({ driver: { faults: () => faults.pop() } });
  await world.run();
  await world.daemon.templates.settled();
  faults.push("exit-at-once");
  world.clear();
  expect((await world.run()).setups).toBe(2);
});

test("templates of work trees are listed, bounded, and removed by id and with all others", async () => {
  await using world = await createWorld({ env: { BANGER_TEMPLATES_MAX_COUNT: "2" } });
  const { client, templates } = world.daemon;
  await world.run();
  await templates.settled();
  const [first, ...others] = (await client.listTemplates()).filter(
    ({ workspace }) => workspace !== undefined,
  );
  expect(first).toMatchObject({ workspace: world.at("repo"), image: "img", memoryMib: 128, diskMib: 64 });
  expect(others).toEqual([]);
  await client.removeTemplate(first?.id ?? "");
  expect(world.kept()).toEqual([]);
  for (const lines of [1, 2, 3]) {
    world.clear();
    put(world.at("repo"), { "banger.toml": BANGER_TOML + "# x\n".repeat(lines), "seed.txt": `${lines}\n` });
    await world.run();
  }
  await templates.settled();
  expect((await client.listTemplates()).length).toBe(2);
  await client.pruneTemplates();
  expect(world.kept()).toEqual([]);
});

test("where there is no room, the run goes on and says that nothing is kept", async () => {
  await using world = await createWorld();
  // A file where the directory should be.
  rmSync(world.daemon.layout.templatesDir, { recursive: true, force: true });
  writeFileSync(world.daemon.layout.templatesDir, "");
  truncateSync(world.daemon.layout.templatesDir, 0);
  const { setups, notes } = await world.run();
  expect(setups).toBe(1);
  expect(notes).toEqual([expect.stringContaining("is not kept for the next run: ")]);
});
