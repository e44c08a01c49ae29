/** The configuration from its sources to what the daemon does; and the idle stop that it asks for. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ConfigReport } from "../../src/api/types/host.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { createRealHome } from "../support/real-home.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

const HOUR_MS = 3_600_000;

function setting(report: ConfigReport, key: string): unknown {
  const found = report.settings.find((one) => one.key === key);
  return found === undefined ? undefined : [found.value, found.origin];
}

test("a flag goes before a variable, a variable before the file, the file before the default", async () => {
  await using daemon = await createTestDaemon({
    toml: 'default_image = "mine"\nnetwork.address_pool = "10.9.0.0/24"\n[vm_defaults]\nvcpus = 3\nmemory = "3G"\n',
    env: { BANGER_VM_DEFAULTS_MEMORY: "5G" },
  });
  await daemon.addImage("mine");
  const plain = await daemon.client.createVm({ name: "plain" }, { start: false });
  expect(plain.spec).toMatchObject({ image: "mine", vcpus: 3, memoryMib: 5 * 1024, diskMib: 8192 });
  expect(plain.address).toBe("10.9.0.2");
  const asked = await daemon.client.createVm({ name: "asked", memoryMib: 256 }, { start: false });
  expect(asked.spec.memoryMib).toBe(256);

  const report = await daemon.client.config();
  expect(report).toMatchObject({ path: daemon.layout.configFile, exists: true, changed: false });
  expect(setting(report, "vm_defaults.memory")).toEqual(["5G", "variable"]);
  expect(setting(report, "vm_defaults.vcpus")).toEqual([3, "file"]);
  expect(setting(report, "vm_defaults.disk")).toEqual(["8G", "default"]);
});

test("config says when the file is another one than the daemon obeys, and when no daemon could start with it", async () => {
  await using daemon = await createTestDaemon();
  expect(await daemon.client.config()).toMatchObject({ exists: false, changed: false });
  writeFileSync(daemon.layout.configFile, 'log_level = "debug"');
  const changed = await daemon.client.config();
  expect(changed).toMatchObject({ exists: false, changed: true });
  expect(changed.problem).toBeUndefined();
  expect(setting(changed, "log_level")).toEqual(["info", "default"]);
  writeFileSync(daemon.layout.configFile, 'log_level = "loud"');
  expect((await daemon.client.config()).problem).toContain('log_level is "loud"');
});

test("boot_timeout and stop_timeout are obeyed", async () => {
  await using impatient = await createTestDaemon({
    env: { BANGER_BOOT_TIMEOUT: "1s" },
    driver: { faults: () => "never-answer" },
  });
  await impatient.addImage("img");
  const silent = await refusal(
    impatient.client.createVm({ name: "silent", image: "img", vcpus: 2 }),
    "timeout",
  );
  expect(silent.message).toContain("within 1 s");
  await using daemon = await createTestDaemon({ toml: 'stop_timeout = "1s"' });
  const { client } = daemon;
  await daemon.addImage("img");
  const { pid = 0 } = await client.createVm({ name: "stuck", image: "img", vcpus: 1 });
  process.kill(pid, "SIGSTOP");
  expect((await client.stopVm("stuck")).lastError?.message).toContain("did not power off within 1 s");
});

test("a VM that nobody uses is stopped after auto_stop_after; a command in it, or a detached one, keeps it", async () => {
  const idleClock = new ManualClock();
  await using daemon = await createTestDaemon({ idleClock, toml: 'auto_stop_after = "1h"' });
  const { client } = daemon;
  await daemon.addImage("img");
  const vm = await client.createVm({ name: "web", image: "img" });

  // An open command is a use for as long as it is open.
  const command = client.exec("web", { argv: ["cat"] });
  await command.started;
  idleClock.advance(3 * HOUR_MS);
  expect((await client.showVm("web")).state).toBe("running");
  await command.end();
  await command.exit;
  idleClock.advance(HOUR_MS - 1);
  await client.exec("web", { argv: ["true"] }).exit;
  idleClock.advance(HOUR_MS - 1);
  expect((await client.showVm("web")).state).toBe("running");

  const ended = client.waitVm("web");
  idleClock.advance(1);
  expect(await ended).toMatchObject({ id: vm.id, state: "stopped" });
  expect((await client.showVm("web")).lastError).toBeUndefined();

  // Started anew, it counts anew; the stop let go of what was watched.
  await client.startVm("web");
  idleClock.advance(HOUR_MS - 1);
  expect((await client.showVm("web")).state).toBe("running");
});

test("a detached command keeps its VM, also for a daemon that adopted it; idle time counts from the adoption", async () => {
  const first = new ManualClock();
  const before = await createTestDaemon({ idleClock: first, toml: "auto_stop_after = 3600" });
  await before.addImage("img");
  await before.client.createVm({ name: "web", image: "img" });
  const { id } = await before.client.execDetached("web", { argv: ["sleep", "1000"] });
  await before.crash();

  const idleClock = new ManualClock();
  await using daemon = await createTestDaemon({
    home: before.home,
    idleClock,
    toml: "auto_stop_after = 3600",
  });
  const asked = Promise.withResolvers<void>();
  idleClock.onSet = () => asked.resolve();
  idleClock.advance(HOUR_MS);
  // The guest was asked, and the next deadline set.
  await asked.promise;
  expect((await daemon.client.showVm("web")).state).toBe("running");

  const attached = daemon.client.attach("web", id);
  await attached.started;
  attached.signal("KILL");
  expect((await attached.exit)?.exitCode).toBe(137);
  const ended = daemon.client.waitVm("web");
  idleClock.advance(HOUR_MS);
  expect((await ended).state).toBe("stopped");
});

test("a paused VM is kept, and counts from its resume", async () => {
  const idleClock = new ManualClock();
  await using daemon = await createTestDaemon({ idleClock, env: { BANGER_AUTO_STOP_AFTER: "1h" } });
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  await daemon.client.pauseVm("web");
  const kept = Promise.withResolvers<void>();
  idleClock.onSet = () => kept.resolve();
  idleClock.advance(HOUR_MS);
  await kept.promise;
  expect((await daemon.client.showVm("web")).state).toBe("paused");
  idleClock.advance(HOUR_MS - 1);
  await daemon.client.resumeVm("web");
  idleClock.advance(HOUR_MS - 1);
  expect((await daemon.client.showVm("web")).state).toBe("running");
  const ended = daemon.client.waitVm("web");
  idleClock.advance(1);
  expect((await ended).state).toBe("stopped");
});

test("a bad configuration keeps the daemon from starting, and doctor says so with line and cure", async () => {
  await using home = await createRealHome({ bare: true });
  const path = join(home.home, "config.toml");
  writeFileSync(path, '[vm_defaults]\nmemroy = "4G"\n');
  for (const args of [["ps"], ["config", "show"], ["daemon", "start"]]) {
    const { code, stderr } = await home.banger(args);
    expect(code).toBe(1);
    expect(stderr).toContain(`${path}, line 2: there is no configuration key vm_defaults.memroy`);
    expect(stderr).toContain("cure: write vm_defaults.memory, or remove it");
  }
  const doctor = await home.banger(["doctor"]);
  expect(doctor.code).toBe(1);
  expect(doctor.stdout).toStartWith(`FAIL  daemon: ${path}, line 2`);
  const { stderr } = await home.banger(["ps"], { env: { BANGER_BOOT_TIMEOUT: "soon" } });
  expect(stderr).toContain("line 2");

  writeFileSync(path, '[vm_defaults]\nmemory = "4G"\n');
  const bad = await home.banger(["ps"], { env: { BANGER_BOOT_TIMEOUT: "soon" } });
  expect(bad.stderr).toContain('BANGER_BOOT_TIMEOUT is "soon"');
  expect((await home.banger(["ps"])).code).toBe(0);
});

test("config show says what the daemon obeys, where it came from, and what it does not know of", async () => {
  await using home = await createRealHome({ bare: true });
  const path = join(home.home, "config.toml");
  writeFileSync(path, 'stop_timeout = "7s"\n');
  const env = { BANGER_LOG_LEVEL: "debug" };
  const shown = await home.banger(["config", "show"], { env });
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(new RegExp(`^stop_timeout +7s +${path}$`, "m"));
  expect(shown.stdout).toMatch(/^log_level +debug +BANGER_LOG_LEVEL$/m);
  expect(shown.stdout).toMatch(/^auto_stop_after +never +default$/m);

  writeFileSync(path, 'stop_timeout = "8s"\n');
  const later = await home.banger(["config", "show"], { env: { ...env, BANGER_AUTO_STOP_AFTER: "1h" } });
  expect(later.stdout).toMatch(/^stop_timeout +7s/m);
  expect(later.stderr).toContain(`${path} has changed since the daemon started`);
  expect(later.stderr).toContain("BANGER_AUTO_STOP_AFTER is set here");
  expect(later.stderr).toContain("banger daemon restart");
  await home.must(["daemon", "stop"]);
  const { stdout, stderr } = await home.banger(["config", "show", "--json"]);
  const report = JSON.parse(stdout) as ConfigReport;
  expect(report).toMatchObject({ path, exists: true, changed: false });
  expect(setting(report, "stop_timeout")).toEqual(["8s", "file"]);
  expect(setting(report, "log_level")).toEqual(["info", "default"]);
  expect(stderr).toBe("");
});

test("log_level, vmm.qemu.bin and vmm.qemu.accelerator are obeyed", async () => {
  await using home = await createRealHome({ bare: true });
  const path = join(home.home, "config.toml");
  writeFileSync(path, 'log_level = "debug"\nvmm.qemu.bin = "/nowhere/qemu"\n');
  const without = await home.banger(["doctor"]);
  expect(without.stdout).toContain("FAIL  qemu: the program /nowhere/qemu is not installed");
  expect((await home.banger(["daemon", "logs"])).stdout).toContain('"level":20');
  await home.must(["daemon", "stop"]);
  writeFileSync(path, 'vmm.qemu.accelerator = "tcg"\n');
  expect((await home.banger(["doctor", "--json"])).stdout).toContain('"accelerator": "tcg"');
});

test("a variable of create's own environment goes before the daemon's configuration, and a flag before it", async () => {
  await using home = await createRealHome({ bare: true });
  writeFileSync(join(home.home, "config.toml"), 'default_image = "from-file"\n');
  const create = async (args: readonly string[], env: Record<string, string>): Promise<string> =>
    (await home.banger(["create", "--no-start", ...args], { env })).stderr;
  expect(await create([], {})).toContain("from-file");
  expect(await create([], { BANGER_DEFAULT_IMAGE: "from-variable" })).toContain("from-variable");
  expect(await create(["--image", "from-flag"], { BANGER_DEFAULT_IMAGE: "from-variable" })).toContain(
    "from-flag",
  );
  const bad = await create([], { BANGER_VM_DEFAULTS_MEMORY: "4X" });
  expect(bad).toContain(
    'BANGER_VM_DEFAULTS_MEMORY is "4X", but vm_defaults.memory must be a size from 128M to 1T',
  );
});
