/** The daemon as a process: started by the first command, once, however many ask; and its bad days. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome } from "../support/real-home.ts";

test("eight commands at once start one daemon, and all of them are served", async () => {
  await using home = await createRealHome({ bare: true });
  const outcomes = await Promise.all(Array.from({ length: 8 }, async () => await home.banger(["ps", "-a"])));
  expect(outcomes.map((outcome) => outcome.code)).toEqual(Array.from({ length: 8 }, () => 0));
  const served = readFileSync(join(home.home, "bangerd.log"), "utf8").split('"msg":"serving"').length - 1;
  expect(served).toBe(1);
});

test("a socket that a killed daemon left is no obstacle", async () => {
  await using home = await createRealHome({ bare: true });
  await home.must(["daemon", "start"]);
  const pid = await home.daemonPid();
  await killToTheEnd(pid);
  expect((await home.banger(["ps"])).code).toBe(0);
  expect(await home.daemonPid()).not.toBe(pid);
});

test("daemon start waits for a daemon that is ending and answers no more", async () => {
  await using home = await createRealHome({ bare: true });
  mkdirSync(join(home.home, "run"), { mode: 0o700 });
  const path = join(home.home, "run/bangerd.sock");
  // As the kernel leaves one whose threads it is still ending: who connects gets in, and then hears only the end.
  const ending = createServer((socket) => {
    socket
      .on("error", () => undefined)
      .once("data", () => {
        rmSync(path);
        ending.close();
        socket.destroy();
      });
  }).listen(path);
  await once(ending, "listening");
  const started = await home.banger(["daemon", "start"]);
  expect(started).toMatchObject({ code: 0, stderr: "" });
  expect(started.stdout).toContain("running, pid");
});

test("socket, directories, database and log are the user's alone", async () => {
  await using home = await createRealHome({ bare: true });
  await home.must(["daemon", "start"]);
  const mode = (path: string): number => statSync(join(home.home, path)).mode & 0o777;
  expect(["run", "vms", "cache"].map(mode)).toEqual([0o700, 0o700, 0o700]);
  expect(["run/bangerd.sock", "state.db", "bangerd.log"].map(mode)).toEqual([0o600, 0o600, 0o600]);
});

test("daemon status, stop and logs say what is so, also when nothing runs", async () => {
  await using home = await createRealHome({ bare: true });
  expect(await home.banger(["daemon", "status"])).toMatchObject({ code: 1, stdout: "not running\n" });
  expect(await home.banger(["daemon", "status", "--json"])).toMatchObject({ code: 1, stdout: "null\n" });
  expect(await home.banger(["daemon", "stop"])).toMatchObject({ code: 0, stdout: "not running\n" });
  expect(await home.banger(["daemon", "logs"])).toMatchObject({ code: 1 });
  expect((await home.banger(["daemon", "start"])).stdout).toContain("running, pid");
  expect((await home.banger(["daemon", "status", "--json"])).stdout).toContain('"vms": 0');
  expect(await home.banger(["daemon", "stop"])).toMatchObject({ code: 0, stdout: "stopped\n" });
  expect((await home.banger(["daemon", "logs"])).stdout).toContain("stopping");
  const log = join(home.home, "bangerd.log");
  renameSync(log, `${log}.1`);
  writeFileSync(log, "begun anew\n");
  expect((await home.banger(["daemon", "logs"])).stdout).toMatch(/"stopping; [^]*\nbegun anew\n$/);
});

test("daemon restart is another daemon on the same state, also when none runs", async () => {
  await using home = await createRealHome({ bare: true });
  const words = (await home.banger(["daemon", "restart"])).stdout;
  expect(words).toContain("running, pid");
  const pid = await home.daemonPid();
  expect(await home.banger(["daemon", "restart"])).toMatchObject({ code: 0 });
  expect(await home.daemonPid()).not.toBe(pid);
});

test("a daemon of another banger is told of in one line on stderr, until it is renewed", async () => {
  await using home = await createRealHome({ bare: true });
  await home.must(["daemon", "start"]);
  const lock = join(home.home, "bangerd.lock");
  const holder = JSON.parse(readFileSync(lock, "utf8")) as object;
  writeFileSync(lock, JSON.stringify({ ...holder, version: "0.0.1" }));
  const remark =
    /^banger: the running daemon is banger 0\.0\.1, and this command .*: banger daemon restart\n$/;
  expect((await home.must(["ps"])).stderr).toMatch(remark);
  expect((await home.must(["image", "ls"])).stderr).toMatch(remark);
  expect((await home.must(["daemon", "status"])).stderr).toMatch(remark);
  expect((await home.must(["daemon", "start"])).stderr).toMatch(remark);
  for (const quiet of [
    ["ps", "-q"],
    ["ps", "--json"],
    ["image", "ls", "-q"],
    ["version"],
    ["__complete", "--", "show", ""],
  ])
    expect((await home.must(quiet)).stderr).toBe("");
  expect((await home.must(["daemon", "restart"])).stderr).toBe("");
  expect((await home.must(["ps"])).stderr).toBe("");
});

test("a damaged database is reported by every command, and by doctor, and left as it is", async () => {
  await using home = await createRealHome({ bare: true });
  const path = join(home.home, "state.db");
  writeFileSync(path, "no database at all, only words ".repeat(200), { mode: 0o600 });
  const { code, stderr } = await home.banger(["ps"]);
  expect(code).toBe(1);
  expect(stderr).toContain("damaged");
  expect(stderr).toContain(`mv ${path}`);
  const doctor = await home.banger(["doctor", "--json"]);
  expect(doctor.code).toBe(1);
  expect(doctor.stdout).toContain('"verdict": "fail"');
  expect(readFileSync(path, "utf8")).toStartWith("no database at all");
  writeFileSync(path, "");
});

test("a runtime directory that others can enter is refused", async () => {
  await using home = await createRealHome({ bare: true });
  mkdirSync(join(home.home, "run"));
  chmodSync(join(home.home, "run"), 0o755);
  const { code, stderr } = await home.banger(["ps"]);
  expect(code).toBe(1);
  expect(stderr).toContain("not a directory of yours alone");
  chmodSync(join(home.home, "run"), 0o700);
});

test("what is no socket in the socket's place is named, with the cure, and left as it is", async () => {
  await using home = await createRealHome({ bare: true });
  const path = join(home.home, "run/bangerd.sock");
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(join(home.home, "run"), 0o700);
  const { code, stderr } = await home.banger(["ps"]);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `banger: ${path} is a directory, where the daemon's socket belongs\n  cure: move it away with: mv ${path} ${path}.away\n`,
  );
  rmSync(path, { recursive: true });
  writeFileSync(path, "mine");
  expect((await home.banger(["daemon", "start"])).stderr).toContain("is a file, where");
  expect(await home.banger(["daemon", "status"])).toMatchObject({ code: 1, stdout: "not running\n" });
  expect(readFileSync(path, "utf8")).toBe("mine");
  renameSync(path, `${path}.away`);
  await home.must(["daemon", "start"]);
});

test("a BANGER_HOME that is too long for sockets, or relative, is refused with its cure", async () => {
  await using home = await createRealHome({ bare: true });
  for (const bad of [`/tmp/${"x".repeat(90)}`, "relative/home"]) {
    const { code, stderr } = await home.banger(["ps"], { env: { BANGER_HOME: bad } });
    expect(code).toBe(1);
    expect(stderr).toContain("cure:");
  }
});

test.each([
  [["run", "--vcpus", "0"], "--vcpus"],
  [["run", "--vcpus", "two"], "--vcpus"],
  [["run", "--memory", "4X"], "--memory"],
  [["run", "--memory", "1M"], "--memory"],
  [["run", "--disk", "-1G"], "--disk"],
  [["run", "--name", "box/../evil"], "box/../evil"],
  [["run", "--name", "UPPER"], "UPPER"],
  [["run", "-e", "NOEQUALS"], "NOEQUALS"],
  [["run", "-u", "a b"], "a b"],
  [["run", "-w", "relative"], "relative"],
  [["run", "--timeout", "soon"], "soon"],
  [["run", "--image", "../x"], "../x"],
  [["run", "--frob"], "--frob"],
  [["run", "-d", "--rm"], "--rm"],
  [["run", "-d", "--", "true"], "-d"],
  [["frob"], "frob"],
  [["exec"], "vm"],
  [["exec", "web"], "command"],
  [["stop", "../x"], "../x"],
] as const)(
  "banger %j is wrong usage: exit code 2 or 1, names the culprit, and starts nothing",
  async (args, culprit) => {
    await using home = await createRealHome({ bare: true });
    const { code, stderr } = await home.banger(args);
    expect(stderr).toContain(culprit);
    expect(code).toBe(args[0] === "stop" ? 1 : 2);
    expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
  },
);

test("every command has --help with a description, and exits 0", async () => {
  await using home = await createRealHome({ bare: true });
  for (const words of [
    [],
    ["run"],
    ["exec"],
    ["shell"],
    ["ps"],
    ["show"],
    ["start"],
    ["stop"],
    ["rm"],
    ["logs"],
    ["image", "import"],
    ["doctor"],
    ["daemon"],
    ["version"],
  ]) {
    const { code, stdout } = await home.banger([...words, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("Usage: banger");
  }
});
