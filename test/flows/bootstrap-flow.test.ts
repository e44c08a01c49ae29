/** What a work tree says of its VM: read by the daemon, run in the guest (whose files are this host's) before the command. */
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import type { RunRequest } from "../../src/api/types/vms.ts";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, put } from "../support/repositories.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

/** Runs with the setup that the work tree asks for, and gathers what came. */
async function run(
  world: WorkspaceDaemon,
  wish: Partial<RunRequest> = {},
): Promise<{ stdout: string; stderr: string; code: number | undefined }> {
  const workspace = { path: world.at("repo"), guestPath: world.at("guest") };
  const { steps, inputs } = await world.daemon.client.planBootstrap(workspace);
  // The guest's programs are this host's, which may have mise in other places.
  const env = { BANGER_SETUP_LOG: world.at("log"), PATH: "/usr/bin:/bin", HOME: world.at("home") };
  const vm = { name: "app", image: "img", env };
  const out = ["", ""];
  const decoder = new TextDecoder();
  const command = world.daemon.client.run(
    {
      vm,
      workspace,
      setup: { steps, inputs },
      exec: { argv: ["/bin/sh", "-c", "echo command; cat made"] },
      ...wish,
    },
    {
      onStdout: (bytes) => void (out[0] += decoder.decode(bytes)),
      onStderr: (bytes) => void (out[1] += decoder.decode(bytes)),
    },
  );
  const exit = await command.exit;
  return { stdout: out[0] ?? "", stderr: out[1] ?? "", code: exit?.exitCode };
}

test("setup runs after tools and devcontainer, in the workspace, streams to stderr and is logged in the guest", async () => {
  await using world = await createWorkspaceDaemon();
  createRepository(world.at("repo"), {
    "banger.toml": `setup = ["pwd; echo one > made; echo said", "echo two >> made; echo err >&2"]\n`,
    ".devcontainer/devcontainer.json": `{ // comment\n "image": "x", "postCreateCommand": ["echo", "it's", "a  list"], }`,
    ".tool-versions": "nodejs 20\n",
  });
  const { stdout, stderr, code } = await run(world);
  expect({ stdout, code }).toEqual({ stdout: "command\none\ntwo\n", code: 0 });
  const wanted = [
    "+ mise install",
    "skipped: the image has no mise; https://mise.jdx.dev/installing-mise.html says how it gets one",
    "+ 'echo' 'it'\\''s' 'a  list'",
    "it's a  list",
    "+ pwd; echo one > made; echo said",
    world.at("guest"),
    "said",
    "+ echo two >> made; echo err >&2",
    "err",
    "",
  ].join("\n");
  expect(stderr).toBe(wanted);
  expect(readFileSync(world.at("log"), "utf8")).toBe(wanted);
});

test("tools are installed where the guest has mise, which trusts the workspace and asks nothing", async () => {
  await using world = await createWorkspaceDaemon();
  const echo = '#!/bin/sh\necho "$@" "$MISE_YES" "$MISE_TRUSTED_CONFIG_PATHS" > made\n';
  put(world.at("bin"), { mise: echo });
  chmodSync(world.at("bin/mise"), 0o755);
  createRepository(world.at("repo"), { ".mise.toml": "" });
  const env = { BANGER_SETUP_LOG: world.at("log"), PATH: `${world.at("bin")}:/usr/bin:/bin` };
  const { stdout } = await run(world, { vm: { name: "app", image: "img", env } });
  expect(stdout).toBe(`command\ninstall 1 ${world.at("guest")}\n`);
});

test("setup that writes more than any window holds comes whole, and reads an empty stdin", async () => {
  await using world = await createWorkspaceDaemon();
  const bytes = 3_000_000;
  createRepository(world.at("repo"), {
    "banger.toml": `setup = "cat > made; head -c ${bytes} /dev/zero"\n`,
  });
  const { stdout, stderr } = await run(world);
  expect(stdout).toBe("command\n");
  expect(stderr.length).toBeGreaterThanOrEqual(bytes);
});

test("a command that fails ends the run with its name and the log, and the VM stays", async () => {
  await using world = await createWorkspaceDaemon();
  createRepository(world.at("repo"), { "banger.toml": `setup = ["exit 3", "echo never > made"]\n` });
  expect(await refusal(run(world), "guest_error")).toMatchObject({
    message: `setup of the work tree failed in app: "exit 3" ended with exit code 3; its log is ${world.at("log")}`,
    cure: expect.stringContaining("--no-bootstrap"),
  });
  expect((await world.daemon.client.listVms()).map(({ name, state }) => [name, state])).toContainEqual([
    "app",
    "running",
  ]);
});

test("a client that gives up during the setup ends it", async () => {
  await using world = await createWorkspaceDaemon();
  createRepository(world.at("repo"), { "banger.toml": `setup = "echo begun; exec sleep 1000"\n` });
  const workspace = { path: world.at("repo"), guestPath: world.at("guest") };
  const { steps, inputs } = await world.daemon.client.planBootstrap(workspace);
  const begun = Promise.withResolvers<void>();
  const command = world.daemon.client.run(
    {
      vm: { name: "app", image: "img", env: { BANGER_SETUP_LOG: world.at("log") } },
      workspace,
      setup: { steps, inputs },
      remove: true,
    },
    { onStderr: (bytes) => void (Buffer.from(bytes).includes("begun\n") && begun.resolve()) },
  );
  await begun.promise;
  await command.cancel();
  await refusal(command.exit, "cancelled");
  expect((await world.daemon.client.listVms()).map(({ name }) => name)).toEqual(["web"]);
});

test("a plan is made of the revision that travels, follows no link and waits for no pipe", async () => {
  await using world = await createWorkspaceDaemon();
  const { client } = world.daemon;
  const repo = world.at("repo");
  createRepository(repo, { "banger.toml": `setup = "old"\nvcpus = 2\n`, "mise.toml": "" });
  put(repo, { "banger.toml": `setup = "new"\n` });
  const old = await client.planBootstrap({ path: repo, branch: "b", from: "HEAD" });
  expect(old).toMatchObject({
    settings: { vcpus: 2 },
    steps: [
      { source: "tools", command: "mise install" },
      { source: "setup", command: "old" },
    ],
  });
  expect((await client.planBootstrap({ path: repo })).steps.at(-1)).toEqual({
    source: "setup",
    command: "new",
  });
  git(repo, "rm", "-q", "-f", "banger.toml", "mise.toml");
  writeFileSync(world.at("secret"), `setup = "secret"\n`);
  symlinkSync(world.at("secret"), world.at("repo/banger.toml"));
  mkdirSync(world.at("else"));
  writeFileSync(world.at("else/devcontainer.json"), `{"postCreateCommand":"secret"}`);
  symlinkSync(world.at("else"), world.at("repo/.devcontainer"));
  Bun.spawnSync(["mkfifo", world.at("repo/.devcontainer.json")]);
  expect(await client.planBootstrap({ path: repo })).toEqual({
    settings: {},
    reserved: [],
    steps: [],
    inputs: [],
    notes: [],
  });
});
