/** The command line as somebody types it who is new to it, or in a hurry: real program, real server, fake hypervisor. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, readdirSync, watch } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { type Noun, namesOf } from "../../src/cli/live-names.ts";
import { type CliResult, runBanger, startBanger } from "../support/real-home.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";
import { Tmux } from "../support/tmux.ts";
import { createScratch } from "../support/trees.ts";

const PROGRAM = process.env["BANGER_PROGRAM"] ?? join(import.meta.dir, "../../bin/banger");

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  await daemon.client.createVm({ name: "idle", image: "img" }, { start: false });
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function banger(...args: readonly string[]): Promise<CliResult> {
  return await runBanger(daemon.home, args);
}

test("help finds the help of any command, by any of its names", async () => {
  const pull = await banger("help", "image", "pull");
  expect(pull).toMatchObject({ code: 0, stderr: "" });
  expect(pull.stdout).toStartWith("Usage: banger image pull ");
  expect((await banger("help", "vm", "delete")).stdout).toStartWith("Usage: banger rm|delete ");
  expect((await banger("help", "ps", "--json")).stdout).toStartWith("Usage: banger ps|ls ");
  expect((await banger("help")).stdout).toStartWith("Usage: banger [options] [command]");
});

test.each([
  [["help", "stort"], 'banger has no command "stort" (did you mean start?)', "banger --help"],
  [["help", "image", "pul"], 'banger image has no command "pul" (did you mean pull?)', "banger image --help"],
  [["help", "ps", "web"], 'banger ps has no command "web"', "banger ps --help"],
  [["stop", "--timeout", "2h", "web"], '--timeout "2h" is more than an hour', "banger kill"],
  [["network", "check", "web", "x:y"], 'the target "x:y" is not valid', "write HOST:PORT"],
  [["kernel", "import"], "there is no file to import", "banger kernel import NAME FILE"],
  [["kernel", "import", "--host", "a", "b"], "--host goes with no file", "banger kernel import --host"],
  [["image", "export", "a", "b", "--format", "zip"], "Allowed choices are oci, rootfs", "--help"],
  [["exec", "-d", "-t", "web", "true"], "takes no -t", "ctrl-p ctrl-q"],
  [["exec", "-d", "-A", "web", "true"], "takes no -A", "leave -d out"],
  [["exec", "--attach", "x", "web", "true"], "takes no a command", "when the command is started"],
  [["exec", "--attach", "x", "-u", "app", "web"], "takes no -u", "when the command is started"],
  [["run", "-d", "--detach-keys", "none"], "--detach-keys is a command's", "banger exec"],
] as const)("banger %j is wrong usage, and says what is right", async (args, words, cure) => {
  const { code, stdout, stderr } = await banger(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(words);
  expect(stderr).toContain("cure: ");
  expect(stderr).toContain(cure);
});

test.each([
  [["stats", "nosuch"], "there is no VM nosuch"],
  [["stats", "--json", "web", "nosuch"], "there is no VM nosuch"],
  [["stats", "idle"], "idle is stopped, and uses nothing"],
  [["logs", "-f", "nosuch"], "there is no VM nosuch"],
] as const)("banger %j fails with words of its own", async (args, words) => {
  const { code, stdout, stderr } = await banger(...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(words);
});

test("forward says where it listens and where it leads", async () => {
  const cli = startBanger(daemon.home, ["forward", "web", "0:80", "0:10.0.0.2:81"]);
  await cli.printed(":81, to 10.0.0.2 from there\n");
  cli.kill("SIGINT");
  const { code, stdout } = await cli.result;
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^127\.0\.0\.1:\d+ -> web:80\n127\.0\.0\.1:\d+ -> web:81, to 10\.0\.0\.2 from there\n$/,
  );
  await daemon.client.pauseVm("web");
  const paused = await banger("forward", "web", "0:80");
  await daemon.client.resumeVm("web");
  expect(paused.code).toBe(1);
  expect(paused.stderr).toContain("web is paused\n  cure: continue it with: banger resume web");
});

test("stats shows the VMs that are named and no others", async () => {
  const { id } = await daemon.client.createVm({ name: "second", image: "img" });
  const stats = async (...refs: readonly string[]): Promise<string[]> => {
    const { stdout } = await banger("stats", "--json", ...refs);
    return (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name).toSorted();
  };
  expect(await stats()).toEqual(["second", "web"]);
  expect(await stats(id.slice(0, 11))).toEqual(["second"]);
  await daemon.client.removeVm("second", { force: true });
});

test("what --json shows is one document: the thing, or a list where several are named", async () => {
  const shown = async (...args: readonly string[]): Promise<unknown> =>
    JSON.parse((await banger(...args)).stdout);
  expect(await shown("show", "--json", "web")).toMatchObject({ name: "web" });
  expect(await shown("show", "--json", "web", "web")).toMatchObject({ name: "web" });
  expect(await shown("show", "--json", "idle", "web")).toMatchObject([{ name: "idle" }, { name: "web" }]);
  expect(await shown("image", "show", "--json", "img")).toMatchObject({ name: "img" });
  expect(await shown("set", "--json", "--memory", "300M", "web", "idle")).toMatchObject([
    { name: "web", pending: ["memoryMib"] },
    { name: "idle", spec: { memoryMib: 300 } },
  ]);
  const half = await banger("show", "--json", "nosuch", "web");
  expect(half.code).toBe(1);
  expect(JSON.parse(half.stdout)).toMatchObject([{ name: "web" }]);
  expect(half.stderr).toContain("there is no VM nosuch");
});

test("the JSON lines of several VMs say whose they are", async () => {
  const lines = async (...args: readonly string[]): Promise<{ event: string; ref?: string }[]> =>
    (await banger(...args)).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; ref?: string });
  const several = await lines("start", "--json", "web", "nosuch");
  expect(several.find(({ event }) => event === "result")?.ref).toBe("web");
  expect(several.find(({ event }) => event === "error")?.ref).toBe("nosuch");
  expect((await lines("start", "--json", "web")).map((line) => "ref" in line)).not.toContain(true);
});

test("exec -d --sync sends what is new first, and starts nothing when it cannot", async () => {
  const { code, stdout, stderr } = await banger("exec", "-d", "--sync", "web", "true");
  expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
  expect(stderr).toContain("web has no workspace");
  expect(await daemon.client.execs("web")).toEqual([]);
});

test("exec ls --json is one document, with the flag on either side of the VM", async () => {
  expect(JSON.parse((await banger("exec", "ls", "web", "--json")).stdout)).toEqual([]);
  const { id } = await daemon.client.execDetached("web", { argv: ["true"] });
  const listed = await banger("exec", "ls", "--json", "web");
  expect(listed).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(listed.stdout)).toMatchObject([{ id, argv: ["true"] }]);
  // Behind -- it is a command for a VM of that name.
  expect((await banger("exec", "ls", "--", "--json")).stderr).toContain("there is no VM ls");
});

test("namesOf() knows what lives: VMs, images, kernels, volumes, snapshots and templates", async () => {
  await daemon.client.createVolume({ name: "data", sizeBytes: 2 ** 30 });
  await daemon.client.createSnapshot("web", { name: "ready" });
  const names = async (noun: Noun): Promise<string[]> => (await namesOf(daemon.client, noun, {})).toSorted();
  expect(await names("vm")).toEqual(["idle", "web"]);
  expect(await names("image")).toEqual(["img"]);
  expect(await names("catalog")).toContain("debian");
  expect(await names("image or catalog")).toEqual(["img", ...(await names("catalog"))].toSorted());
  expect(await names("volume")).toEqual(["data"]);
  expect(await names("snapshot")).toEqual(["ready"]);
  expect(await names("kernel")).toEqual([]);
  expect(await names("template")).toEqual([]);
  await daemon.client.removeSnapshot("ready");
  await daemon.client.removeVolume("data");
});

test("bash completes by what banger says, flags with = too", async () => {
  const script = `set -eu
    banger() { "$PROGRAM" "$@"; }
    eval "$("$PROGRAM" completion bash)"
    ask() { COMP_WORDS=(banger "$@") COMP_CWORD=$#; _banger; echo "$* -> \${COMPREPLY[*]-}"; }
    ask image pu
    ask image export a:b c --format = oc
    ask frob ""`;
  await using child = Bun.spawn(["bash", "-c", script], {
    env: { ...process.env, BANGER_HOME: daemon.home, PROGRAM },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ code: await child.exited, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n")).toEqual([
    "image pu -> pull",
    "image export a:b c --format = oc -> oci",
    "frob  -> ",
    "",
  ]);
});

test("completion gives up silently: no daemon is started, and one that does not answer is not waited for", async () => {
  using scratch = createScratch();
  const silent = { code: 0, stdout: "", stderr: "" };
  expect(await runBanger(scratch.path, ["__complete", "--", "show", ""])).toMatchObject(silent);
  expect(readdirSync(scratch.path)).toEqual([]);
  mkdirSync(scratch.at("run"), { mode: 0o700 });
  const server = createServer(() => undefined);
  await once(server.listen(scratch.at("run/bangerd.sock")), "listening");
  try {
    expect(await runBanger(scratch.path, ["__complete", "--", "show", ""])).toMatchObject(silent);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("output that cannot be written is said, and is no reader that went away", async () => {
  await using child = Bun.spawn(["sh", "-c", '"$PROGRAM" exec web -- echo hi >/dev/full'], {
    env: { ...process.env, BANGER_HOME: daemon.home, PROGRAM },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await child.stderr.text()).toStartWith("banger: cannot write to stdout: ENOSPC");
  expect(await child.exited).toBe(125);
});

test("an export that is interrupted leaves no file, and ends with 130", async () => {
  using scratch = createScratch();
  mkdirSync(scratch.at("run"), { mode: 0o700 });
  mkdirSync(scratch.at("out"));
  // A daemon that never comes to the end of an image.
  const server = createServer((_, response) => void response.writeHead(200).write("tar"));
  await once(server.listen(scratch.at("run/bangerd.sock")), "listening");
  const begun = Promise.withResolvers<void>();
  const watcher = watch(scratch.at("out"), () => begun.resolve());
  try {
    const cli = startBanger(scratch.path, ["image", "export", "img", scratch.at("out/img.tar")]);
    await begun.promise;
    cli.kill("SIGINT");
    expect(await cli.result).toMatchObject({ code: 130, stderr: "banger: interrupted\n" });
    expect(readdirSync(scratch.at("out"))).toEqual([]);
  } finally {
    watcher.close();
    server.closeAllConnections();
    server.close();
  }
});

test("Ctrl-C at a question is no, and is said to be an interruption", async () => {
  await using tmux = await Tmux.start({ BANGER_HOME: daemon.home, PS1: "$ ", ENV: "" });
  await tmux.type(`stty -g >/tmp/$$; ${PROGRAM} prune\n`);
  await tmux.shows("Delete them? [y/N]");
  await tmux.keys("C-c");
  await tmux.shows("banger: interrupted");
  await tmux.type("echo code=$?; stty -g | cmp - /tmp/$$ && echo terminal=same; rm /tmp/$$\n");
  await tmux.shows("code=130");
  await tmux.shows("terminal=same");
  expect((await daemon.client.showVm("idle")).state).toBe("stopped");
});
