/** The verbs of a VM's life with real guests: the seed's smoke scenarios that belong to them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { identifyProcess } from "../../src/lib/process-identity.ts";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

interface Shown {
  readonly state: string;
  readonly bootId: string;
  readonly pid?: number;
  readonly directory: string;
  readonly pending: readonly string[];
}

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
  const { code, stderr } = await home.banger([
    "run",
    "-d",
    "--name",
    "web",
    "--vcpus",
    "2",
    "--memory",
    "512M",
    "--disk",
    "1G",
  ]);
  if (code !== 0) throw new Error(stderr);
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

async function show(vm = "web"): Promise<Shown> {
  return JSON.parse((await home.banger(["show", "--json", vm])).stdout) as Shown;
}

async function sh(script: string): Promise<string> {
  const { code, stdout, stderr } = await home.banger(["exec", "web", "--", "sh", "-c", script]);
  if (code !== 0) throw new Error(`${script}: ${code} ${stderr}`);
  return stdout.trim();
}

test("pause stops the guest's clock of work, and resume lets it go on", async () => {
  expect(await home.banger(["pause", "web"])).toMatchObject({ code: 0, stdout: "web\n" });
  expect((await show()).state).toBe("paused");
  const refused = await home.banger(["exec", "web", "--", "true"]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toContain("banger resume web");
  expect(await home.banger(["resume", "web"])).toMatchObject({ code: 0 });
  expect(await sh("echo alive")).toBe("alive");
});

test("set --disk grows the disk and its file system while the VM runs, keeping what is on it", async () => {
  await sh("echo kept > /root/note");
  const before = Number(await sh("df -m --output=size / | tail -1"));
  expect(await home.banger(["set", "web", "--disk", "2G"])).toMatchObject({ code: 0, stdout: "web\n" });
  const after = Number(await sh("df -m --output=size / | tail -1"));
  expect(after).toBeGreaterThan(before + 900);
  expect(await sh("cat /root/note")).toBe("kept");
  expect(statSync(join((await show()).directory, "disk.ext4")).size).toBe(2 * 2 ** 30);
  expect((await show()).pending).toEqual([]);
});

test("set --vcpus 2 to 4 waits for the next start, says so, and restart brings it in a new boot", async () => {
  const { bootId } = await show();
  const changed = await home.banger(["set", "web", "--vcpus", "4"]);
  expect(changed.stderr).toContain("vcpus with the next start");
  expect((await show()).pending).toEqual(["vcpus"]);
  expect(await sh("nproc")).toBe("2");
  expect(await home.banger(["restart", "web"])).toMatchObject({ code: 0, stdout: "web\n" });
  expect(await sh("nproc")).toBe("4");
  expect(await sh("cat /root/note")).toBe("kept");
  const after = await show();
  expect(after.pending).toEqual([]);
  expect(after.bootId).not.toBe(bootId);
});

test("a detached command runs on, is listed, and is joined by its id, also after the daemon was killed", async () => {
  const { code, stdout } = await home.banger([
    "exec",
    "-d",
    "web",
    "--",
    "sh",
    "-c",
    "echo first; sleep 2; echo last; exit 9",
  ]);
  expect(code).toBe(0);
  const id = stdout.trim();
  expect((await home.banger(["exec", "ls", "web"])).stdout).toContain(id);
  await killToTheEnd(await home.daemonPid());
  expect(await home.banger(["exec", "--attach", id, "web"])).toMatchObject({
    code: 9,
    stdout: "first\nlast\n",
  });
});

test("ports shows a listener with its process and its name", async () => {
  await sh("command -v perl >/dev/null");
  const listen =
    "use IO::Socket; my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 1) or die; print qq(up\\n); close STDOUT; sleep 60";
  const cli = home.start([
    "exec",
    "web",
    "--",
    "perl",
    "-e",
    `$| = 1; ${listen.replace("print qq", "print STDERR qq")}`,
  ]);
  await cli.said("up");
  const { stdout } = await home.banger(["ports", "web"]);
  expect(stdout).toMatch(/tcp +0\.0\.0\.0 +8080 +perl \(\d+\) +web\.vm:8080/);
  cli.kill("SIGINT");
  await cli.result;
});

test("stats shows host and guest", async () => {
  const [stats] = JSON.parse((await home.banger(["stats", "--json", "web"])).stdout) as Record<
    string,
    never
  >[];
  expect(stats).toMatchObject({ name: "web", guest: { processes: expect.any(Number) } });
});

test("ps filters by state, name and image, and -q prints ids", async () => {
  await home.must(["create", "--no-start", "--name", "idle"]);
  const ids = async (...flags: string[]): Promise<number> =>
    (await home.banger(["ps", "-q", ...flags])).stdout.split("\n").filter((id) => id !== "").length;
  expect(await ids()).toBe(1);
  expect(await ids("-a")).toBe(2);
  expect(await ids("--filter", "state=stopped")).toBe(1);
  expect(await ids("-a", "--filter", "name=we", "--filter", "image=debian")).toBe(1);
  expect((await home.banger(["ps", "--filter", "colour=red"])).code).toBe(2);
  expect((await home.banger(["ps", "--filter", "state=asleep"])).stderr).toContain(
    "the states are stopped, starting",
  );
});

test("prune without -f asks, and with -f deletes what is stopped and keeps what runs", async () => {
  const asked = await home.banger(["prune"]);
  expect(asked.code).toBe(1);
  expect(asked.stderr).toContain("idle");
  expect(asked.stderr).toContain("banger prune -f");
  expect((await home.banger(["prune", "-f"])).code).toBe(0);
  const names = JSON.parse((await home.banger(["ps", "-a", "--json"])).stdout) as { name: string }[];
  expect(names.map((vm) => vm.name)).toEqual(["web"]);
});

test("events tells the story of a VM", async () => {
  const cli = home.start(["events", "--after", "0", "--json"]);
  await home.must(["create", "--no-start", "--name", "brief"]);
  await home.must(["rm", "brief"]);
  await cli.printed('"brief"');
  cli.kill("SIGTERM");
  const { stdout } = await cli.result;
  const kinds = stdout
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [(JSON.parse(line) as { kind: string }).kind]));
  expect(kinds.slice(0, 3)).toEqual(["created", "starting", "running"]);
  expect(kinds).toContain("paused");
});

test("kill leaves a stopped VM and nothing else, and wait hears of it", async () => {
  const { pid = 0, directory } = await show();
  const waiting = home.start(["wait", "web"]);
  expect(await home.banger(["kill", "web"])).toMatchObject({ code: 0, stdout: "web\n" });
  expect(await waiting.result).toMatchObject({ code: 0, stdout: "web stopped\n" });
  // A process that was adopted is reaped by the host's init; one that has ended and was not reaped yet counts as gone.
  expect(identifyProcess(pid)).toBeUndefined();
  expect(existsSync(join(directory, "handles.json"))).toBe(false);
  expect(home.hypervisors()).toEqual([]);
  expect((await home.banger(["exec", "web", "--", "true"])).code).toBe(125);
});
