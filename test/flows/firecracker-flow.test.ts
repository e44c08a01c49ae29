/** The whole life of VMs under the Firecracker driver: real client, real server, a stub of Firecracker, the real agent in it. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createFakeDriver } from "../../src/vmm/fake/driver.ts";
import { createFirecrackerDriver, type FirecrackerDriverOptions } from "../../src/vmm/firecracker/driver.ts";
import type { Driver } from "../../src/vmm/port.ts";
import { AGENT } from "../support/agent.ts";
import { createFirecrackerStub, type FirecrackerStub } from "../support/firecracker-stub/create.ts";
import { killToTheEnd } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("skipped: Firecracker's jail in the life of a VM, for want of root");

function createStub(): FirecrackerStub {
  return createFirecrackerStub({ guest: "agent", agentPath: AGENT, port: 1024, knocks: true });
}

function driverOf(stub: FirecrackerStub, more: Partial<FirecrackerDriverOptions> = {}): Driver {
  return createFirecrackerDriver({
    verdictCachePath: join(stub.dir, "verdicts.json"),
    chrootBase: join(stub.dir, "jails"),
    binary: stub.bin,
    jailerBinary: stub.jailerBin,
    jailer: "off",
    kvm: { kind: "works" },
    ...more,
  });
}

async function createDaemon(drivers: readonly Driver[], home?: string): Promise<TestDaemon> {
  const daemon = await createTestDaemon({ drivers, ...(home === undefined ? {} : { home }) });
  if (home === undefined) await daemon.addImage("img");
  return daemon;
}

test("a VM lives as under any other driver: started, used, paused, stopped, started again, removed", async () => {
  await using stub = createStub();
  await using daemon = await createDaemon([driverOf(stub)]);
  const { client } = daemon;
  const vm = await client.createVm({ name: "web", image: "img", diskMib: 64 });
  expect(vm).toMatchObject({ state: "running", driver: "firecracker" });
  expect(await client.exec("web", { argv: ["sh", "-c", "exit 42"] }).exit).toMatchObject({ exitCode: 42 });
  expect((await client.pauseVm("web")).state).toBe("paused");
  expect((await client.resumeVm("web")).state).toBe("running");
  expect(await client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
  expect(await client.stopVm("web", {})).toMatchObject({ state: "stopped" });
  expect((await client.startVm("web")).state).toBe("running");
  await client.removeVm("web", { force: true });
  const starts = stub.requests().filter(({ path }) => path === "/actions");
  expect(starts).toHaveLength(2);
});

test("a VM lives on without its daemon, and the next one takes it over", async () => {
  await using stub = createStub();
  const first = await createDaemon([driverOf(stub)]);
  const { pid } = await first.client.createVm({ name: "web", image: "img", diskMib: 64 });
  await first.crash();
  await using second = await createDaemon([driverOf(stub)], first.home);
  expect(await second.client.showVm("web")).toMatchObject({ state: "running", pid });
  expect(await second.client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
  await second.client.removeVm("web", { force: true });
});

test.skipIf(!isRoot)(
  "a jail is gone when its VM has stopped, also when nobody was there to see it",
  async () => {
    await using stub = createStub();
    // Where the daemon's own clean-up looks.
    const inHome = (home: string): Driver =>
      driverOf(stub, { jailer: "on", chrootBase: join(home, "jails") });
    const probe = await createTestDaemon();
    const { home } = probe;
    await probe.addImage("img");
    await probe.crash();
    const first = await createDaemon([inHome(home)], home);
    const vm = await first.client.createVm({ name: "web", image: "img", diskMib: 64 });
    const jail = join(home, "jails/firecracker", `banger-${vm.id}`);
    expect(existsSync(jail)).toBe(true);
    expect(await first.client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
    await first.crash();
    await killToTheEnd(vm.pid);
    await using second = await createDaemon([inHome(home)], home);
    expect((await second.client.showVm("web")).state).toBe("stopped");
    expect(existsSync(jail)).toBe(false);
    await second.client.startVm("web");
    expect(existsSync(jail)).toBe(true);
    await second.client.stopVm("web", {});
    expect(readdirSync(join(home, "jails/firecracker"))).toEqual([]);
    await second.client.removeVm("web", { force: true });
  },
);

test("--vmm chooses the driver, also for the next start; without it the best that can run", async () => {
  await using stub = createStub();
  await using daemon = await createDaemon([driverOf(stub), createFakeDriver()]);
  const { client } = daemon;
  const chosen = await client.createVm({ name: "fc", image: "img", vmm: "firecracker" }, { start: false });
  expect(chosen.spec.vmm).toBe("firecracker");
  expect((await client.startVm("fc")).driver).toBe("firecracker");
  expect((await client.createVm({ name: "best", image: "img" })).driver).toBe("firecracker");
  for (const name of ["fc", "best"]) await client.removeVm(name, { force: true });
});

test("configured rates reach Firecracker with every disk", async () => {
  await using stub = createStub();
  const toml = '[limits]\ndisk_rate = "200M"\ndisk_iops = 5000\n';
  await using daemon = await createTestDaemon({ drivers: [driverOf(stub)], toml });
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img", diskMib: 64 });
  await daemon.client.removeVm("web", { force: true });
  const drives = stub.requests().filter(({ path }) => path.startsWith("/drives/"));
  const rate_limiter = {
    bandwidth: { size: 200 * 2 ** 20, refill_time: 1000 },
    ops: { size: 5000, refill_time: 1000 },
  };
  expect(drives.map(({ body }) => body)).toMatchObject([
    { drive_id: "rootfs", rate_limiter },
    { drive_id: "disk", rate_limiter },
  ]);
});

test("a driver that there is not, or that cannot run here, is refused with its reason", async () => {
  await using stub = createStub();
  const kvm = { kind: "absent", reason: "there is no /dev/kvm", cure: "switch it on" } as const;
  await using daemon = await createDaemon([driverOf(stub, { kvm }), createFakeDriver()]);
  const { client } = daemon;
  const unknown = await refusal(client.createVm({ name: "x", image: "img", vmm: "xen" }), "invalid_argument");
  expect(unknown.cure).toBe("choose one of: firecracker, fake");
  expect(await client.listVms()).toEqual([]);
  const cannot = await refusal(
    client.createVm({ name: "x", image: "img", vmm: "firecracker" }),
    "unavailable",
  );
  expect(cannot.message).toContain("there is no /dev/kvm");
  expect(cannot.cure).toBe("switch it on");
  // Before an image is made for it: there is none of this name, and nobody looked.
  const run = client.run({ vm: { name: "y", image: "none", vmm: "firecracker" }, exec: { argv: ["true"] } });
  const refused = await refusal(run.exit, "unavailable");
  expect(refused.message).toBe("firecracker cannot run here: Firecracker needs KVM: there is no /dev/kvm");
  const { rows } = await client.doctor();
  expect(rows.filter(({ check }) => check === "firecracker" || check === "fake")).toMatchObject([
    { verdict: "warn", message: "Firecracker needs KVM: there is no /dev/kvm" },
    { verdict: "pass" },
  ]);
  await client.removeVm("x", { force: true });
});
