/** The life of real VMs: stop, start, crashes of the daemon and of the hypervisor. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

interface Shown {
  readonly state: string;
  readonly bootId: string;
  readonly pid?: number;
  readonly directory: string;
  readonly lastError?: { readonly code: string; readonly message: string };
}

async function show(home: RealHome, vm: string): Promise<Shown> {
  return JSON.parse((await home.banger(["show", "--json", vm])).stdout) as Shown;
}

test("what was written before a stop is there after the next start, in a new boot", async () => {
  await using home = await createRealHome();
  await home.must(["run", "-d", "--name", "web"]);
  const before = await show(home, "web");
  await home.must(["exec", "web", "--", "sh", "-c", "echo fresh > /root/note"]);
  expect(await home.banger(["stop", "web"])).toMatchObject({ code: 0, stdout: "web\n" });
  expect(await show(home, "web")).toMatchObject({ state: "stopped" });
  expect(home.hypervisors()).toEqual([]);
  expect(readdirSync(join(home.home, "run")).filter((name) => /^[0-9a-f]{12}$/.test(name))).toEqual([]);

  const refused = await home.banger(["exec", "web", "--", "true"]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toContain("banger start web");

  expect(await home.banger(["start", "web"])).toMatchObject({ code: 0 });
  expect((await home.banger(["exec", "web", "--", "cat", "/root/note"])).stdout).toBe("fresh\n");
  const after = await show(home, "web");
  expect(after.bootId).not.toBe(before.bootId);
  const boot = await home.banger(["exec", "web", "--", "cat", "/proc/sys/kernel/random/boot_id"]);
  expect(boot.stdout.trim()).toBe(after.bootId);

  expect((await home.banger(["rm", "web"])).code).toBe(1);
  expect(await home.banger(["rm", "-f", "web"])).toMatchObject({ code: 0, stdout: "web\n" });
  expect(existsSync(after.directory)).toBe(false);
});

test("a killed daemon is replaced by the next command, which finds the VM as it was", async () => {
  await using home = await createRealHome();
  await home.must(["run", "-d", "--name", "web"]);
  const before = await show(home, "web");
  await killToTheEnd(await home.daemonPid());
  const boot = await home.banger(["exec", "web", "--", "cat", "/proc/sys/kernel/random/boot_id"]);
  expect(boot).toMatchObject({ code: 0, stdout: `${before.bootId}\n` });
  expect(await show(home, "web")).toEqual(before);
  // Once more, with an exec under way: its client hears of it, and the VM lives on.
  const cli = home.start(["exec", "web", "--", "sh", "-c", "echo ready >&2; exec cat /dev/zero"]);
  await cli.said("ready");
  await killToTheEnd(await home.daemonPid());
  expect(await cli.result).toMatchObject({ code: 125 });
  const gone = await home.banger([
    "exec",
    "web",
    "--",
    "sh",
    "-c",
    "ps -eo args | grep -c '[c]at /dev/zero'",
  ]);
  expect(gone.stdout.trim()).toBe("0");
  expect(await home.banger(["stop", "web"])).toMatchObject({ code: 0 });
});

test("a killed hypervisor ends as stopped with the cause, and the VM starts again", async () => {
  await using home = await createRealHome();
  await home.must(["run", "-d", "--name", "web"]);
  const { pid = 0 } = await show(home, "web");
  const cli = home.start(["exec", "web", "--", "sh", "-c", "echo ready >&2; exec sleep 1000"]);
  await cli.said("ready");
  process.kill(pid, "SIGKILL");
  const { code, stderr } = await cli.result;
  expect(code).toBe(125);
  expect(stderr).toContain("lost");
  // The connection to a hypervisor ends before its process is known to have ended.
  expect((await (await home.client()).waitVm("web")).state).toBe("stopped");
  expect(await home.banger(["start", "web"])).toMatchObject({ code: 0 });
  expect(await show(home, "web")).toMatchObject({ state: "running" });
  expect((await home.banger(["daemon", "logs"])).stdout).toContain("SIGKILL");
});

test("after a power cut of the host every VM is stopped and starts again, with what was synced", async () => {
  await using home = await createRealHome();
  await home.must(["run", "-d", "--name", "up", "--memory", "512M"]);
  await home.must(["run", "-d", "--name", "halted", "--memory", "512M"]);
  await home.must(["pause", "halted"]);
  await home.must(["create", "--no-start", "--name", "fresh"]);
  await home.must(["exec", "up", "--", "sh", "-c", "echo kept > /root/note; sync"]);
  // Every process ends at once, and the runtime directory is a tmpfs: empty after the boot.
  await Promise.all([await home.daemonPid(), ...home.hypervisors()].map(killToTheEnd));
  rmSync(join(home.home, "run"), { recursive: true });

  for (const vm of ["up", "halted", "fresh"]) expect((await show(home, vm)).state).toBe("stopped");
  expect((await show(home, "up")).lastError?.code).toBe("unavailable");
  expect(await home.banger(["start", "up", "halted"])).toMatchObject({ code: 0 });
  expect((await home.banger(["exec", "up", "--", "cat", "/root/note"])).stdout).toBe("kept\n");
});

test("a guest that powers itself off is stopped, without an error", async () => {
  await using home = await createRealHome();
  await home.must(["run", "-d", "--name", "web"]);
  const { pid = 0 } = await show(home, "web");
  const cli = home.start(["exec", "web", "--", "sh", "-c", "echo o > /proc/sysrq-trigger; sleep 60"]);
  expect((await cli.result).code).toBe(125);
  await home.must(["stop", "web"]);
  const after = await show(home, "web");
  expect(after.state).toBe("stopped");
  expect(after.lastError).toBeUndefined();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test("create --no-start makes a VM that is stopped, and start boots it", async () => {
  await using home = await createRealHome();
  expect(await home.banger(["create", "--no-start", "--name", "later"])).toMatchObject({
    code: 0,
    stdout: "later\n",
  });
  expect((await show(home, "later")).state).toBe("stopped");
  expect(home.hypervisors()).toEqual([]);
  expect(await home.banger(["start", "later"])).toMatchObject({ code: 0 });
  expect(await home.banger(["exec", "later", "--", "true"])).toMatchObject({ code: 0 });
  const { code, stdout, stderr } = await home.banger(["rm", "-f", "later", "nobody", "later"]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "later\n" });
  expect(stderr).toContain("nobody");
});
