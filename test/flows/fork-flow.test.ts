/** Forks through the real client and the real server, with the fake hypervisor and the real agent in rehearsal. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { BangerError } from "../../src/model/errors.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { mark, WEB, wentOn, withWeb, works, writeMark } from "../support/snapshot-daemon.ts";

test("fork makes so many VMs that go on, each with a name, an address and an id of its own", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  await writeMark(daemon, "saved");
  await client.createVm({ ...WEB, name: "try-2" }, { start: false });
  const { vms, pauseMs } = await client.forkVm("web", { count: 4, prefix: "try" });
  expect(vms.map(({ name }) => name)).toEqual(["try-1", "try-3", "try-4", "try-5"]);
  expect(pauseMs).toBeGreaterThan(0);
  expect(new Set(vms.map(({ address }) => address)).size).toBe(4);
  expect(new Set(vms.map(({ bootId }) => bootId)).size).toBe(4);
  for (const vm of vms) {
    expect([vm.state, vm.ephemeral, wentOn(vm)]).toEqual(["running", false, true]);
    expect(await works(daemon, vm.name)).toBe(true);
    expect(await mark(daemon, "saved").read(vm.name)).toBe("saved");
  }
  expect(await works(daemon, "web")).toBe(true);
  expect((await client.forkVm("web")).vms.map(({ name }) => name)).toEqual(["web-1"]);
  expect(readdirSync(daemon.layout.snapshotsDir)).toEqual([]);
});

test("a fork that cannot be whole leaves nothing: no address, no memory, a child that does not come up", async () => {
  let starts = 0;
  await using daemon = await withWeb({
    toml: '[network]\naddress_pool = "10.9.0.0/29"',
    driver: { faults: () => ((starts += 1) === 4 ? "exit-at-once" : undefined) },
  });
  const { client } = daemon;
  const before = await client.showVm("web");
  await refusal(client.forkVm("web", { count: 20 }), "resource_exhausted");
  expect(starts).toBe(1);
  await refusal(client.forkVm("web", { count: 3 }), "unavailable");
  expect(await client.listVms()).toEqual([before]);
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([before.id]);
  expect(hypervisorsOf(daemon.home)).toEqual([before.pid ?? 0]);
  expect(await works(daemon, "web")).toBe(true);
  for (const wish of [{ count: 0 }, { count: 101 }, { prefix: "A" }])
    await refusal(client.forkVm("web", wish), "invalid_argument");
});

test("a fork whose parent cannot be saved leaves nothing, however far its children have come", async () => {
  let breaks: string | undefined;
  await using daemon = await withWeb({
    onStep: (step) => {
      if (step === breaks) throw new BangerError("unavailable", `broken at ${step}`);
    },
  });
  const { client } = daemon;
  const before = await client.showVm("web");
  for (breaks of ["snapshot:freeze", "snapshot:pause", "snapshot:write", "fork:saved"]) {
    const { message } = await refusal(client.forkVm("web", { count: 2 }), "unavailable");
    expect(message).toBe(`broken at ${breaks}`);
    expect(await client.listVms()).toEqual([before]);
    expect(readdirSync(daemon.layout.vmsDir)).toEqual([before.id]);
    expect(readdirSync(daemon.layout.snapshotsDir)).toEqual([]);
    expect(hypervisorsOf(daemon.home)).toEqual([before.pid ?? 0]);
    expect(await works(daemon, "web")).toBe(true);
  }
});

test("more forks than the host has memory for are refused before anything is saved", async () => {
  let available = 2 ** 40;
  const steps: string[] = [];
  await using daemon = await withWeb({
    availableMemory: () => available,
    onStep: (step) => void steps.push(step),
  });
  const { client } = daemon;
  available = 1;
  steps.length = 0;
  const { message } = await refusal(client.forkVm("web", { count: 2 }), "resource_exhausted");
  expect(message).toContain("2 forks of web may need");
  expect([steps, (await client.listVms()).length]).toEqual([[], 1]);
});
