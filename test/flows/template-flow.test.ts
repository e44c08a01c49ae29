/** Templates through the real client and the real server, with the fake hypervisor and the real agent in rehearsal. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../src/sdk/client.ts";
import type { CreateVm, Vm } from "../../src/sdk/index.ts";
import type { Fault } from "../../src/vmm/fake/driver.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "../support/test-daemon.ts";

const WISH: CreateVm = { image: "img", vcpus: 1, memoryMib: 128, diskMib: 64 };

async function createWarmDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await createTestDaemon({ templates: true, ...options });
  if (options.home === undefined) await daemon.addImage("img");
  return daemon;
}

/** Boots a VM, waits for what is made of that, and removes it. */
async function makeTemplate(daemon: TestDaemon, wish: CreateVm = WISH): Promise<string> {
  const vm = await daemon.client.createVm(wish);
  expect(isWarm(vm)).toBe(false);
  await daemon.templates.settled();
  await daemon.client.removeVm(vm.id, { force: true });
  return (await daemon.client.listTemplates())[0]?.id ?? "none";
}

/** It went on, and did not boot after all. */
const isWarm = (vm: Vm): boolean => !vm.startSteps.some(({ name }) => name === "configure");
const file = (daemon: TestDaemon, id: string, name: string): string =>
  join(daemon.layout.templatesDir, id, name);

test("the first VM of a shape boots, the next goes on from its template, and both can be used", async () => {
  await using daemon = await createWarmDaemon();
  const { client } = daemon;
  const first = await client.createVm(WISH);
  await daemon.templates.settled();
  expect(hypervisorsOf(daemon.home)).toEqual([first.pid ?? 0]);
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([first.id]);
  const second = await client.createVm({ ...WISH, env: { COLOUR: "green" } });
  expect([isWarm(first), isWarm(second)]).toEqual([false, true]);
  expect(second.bootId).not.toBe(first.bootId);
  for (const vm of [first, second])
    expect((await client.exec(vm.id, { argv: ["true"] }).exit)?.exitCode).toBe(0);
  let said = "";
  const onStdout = (bytes: Uint8Array): void => void (said += Buffer.from(bytes).toString());
  await client.exec(second.id, { argv: ["sh", "-c", "echo $COLOUR"] }, { onStdout }).exit;
  expect(said).toBe("green\n");
  // Its own disk, with what it is: it boots from that from now on.
  await client.stopVm(second.id);
  expect(isWarm(await client.startVm(second.id))).toBe(false);
});

test("run is warm, and cold when it is asked to be", async () => {
  await using daemon = await createWarmDaemon();
  await makeTemplate(daemon);
  const steps = async (cold: boolean): Promise<string[]> => {
    const stages: string[] = [];
    const onProgress = (line: { event: string; stage?: string }): void =>
      void (line.event === "begin" && stages.push(line.stage ?? ""));
    const exit = await daemon.client.run(
      { vm: WISH, exec: { argv: ["true"] }, remove: true, cold },
      { onProgress },
    ).exit;
    expect(exit?.exitCode).toBe(0);
    return stages;
  };
  expect(await steps(false)).toContain("resume");
  expect(await steps(true)).toContain("configure");
  const vm = await daemon.client.createVm(WISH, { start: false });
  expect(isWarm(await daemon.client.startVm(vm.id, { cold: true }))).toBe(false);
  expect(isWarm(await daemon.client.createVm(WISH, { cold: true }))).toBe(false);
});

test("another image, memory or vCPUs get a template of their own; a larger disk does not need one", async () => {
  await using daemon = await createWarmDaemon();
  await daemon.addImage("other");
  await makeTemplate(daemon);
  for (const wish of [{ image: "other" }, { memoryMib: 256 }, { vcpus: 2 }])
    await makeTemplate(daemon, { ...WISH, ...wish });
  expect(await daemon.client.listTemplates()).toHaveLength(4);
  const larger = await daemon.client.createVm({ ...WISH, diskMib: 96 });
  expect(larger.startSteps.map(({ name }) => name)).toContain("grow");
  expect(Bun.file(daemon.layout.disk(larger.id)).size).toBe(96 * 2 ** 20);
});

test("no more are kept than the configuration allows, and those that were used last stay", async () => {
  await using daemon = await createWarmDaemon({ toml: "[templates]\nmax_count = 2" });
  const first = await makeTemplate(daemon);
  const second = await makeTemplate(daemon, { ...WISH, vcpus: 2 });
  for (const [age, id] of [first, second].entries())
    utimesSync(join(daemon.layout.templatesDir, id), 1000 - age, 1000 - age);
  await daemon.client.createVm(WISH);
  const third = await makeTemplate(daemon, { ...WISH, vcpus: 3 });
  const kept = (await daemon.client.listTemplates()).map(({ id }) => id);
  expect(kept.toSorted()).toEqual([first, third].toSorted());
});

test("no more are kept than may lie on the disk together", async () => {
  await using daemon = await createWarmDaemon({ toml: '[templates]\nmax_size = "2M"' });
  for (const vcpus of [1, 2, 3, 4, 5, 6]) await makeTemplate(daemon, { ...WISH, vcpus, diskMib: 8192 });
  const kept = await daemon.client.listTemplates();
  const bytes = kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(bytes).toBeWithin(1, 2 ** 21 + 1);
  expect(kept.length).toBeWithin(1, 6);
});

test.each(["machine/state", "machine/memory", "disk.ext4", "saved.json"])(
  "a template whose %s is damaged is discarded, the VM boots, and another template is made",
  async (name) => {
    await using daemon = await createWarmDaemon();
    const id = await makeTemplate(daemon);
    const path = file(daemon, id, name);
    const bytes = readFileSync(path);
    if (bytes.length === 0) truncateSync(path, 1);
    else {
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    const vm = await daemon.client.createVm(WISH);
    expect([vm.state, isWarm(vm)]).toEqual(["running", false]);
    await daemon.templates.settled();
    expect(isWarm(await daemon.client.createVm(WISH))).toBe(true);
  },
);

const FAULTS: readonly Fault[] = ["fail-start", "exit-at-once", "never-answer", "garbage"];

test.each(FAULTS)(
  "a clone that does not come up (%s) is ended, its template discarded, and the VM boots",
  async (fault) => {
    let failing = 0;
    await using daemon = await createWarmDaemon({
      driver: { faults: () => (failing-- > 0 ? fault : undefined) },
      // Only what waits for it need be quick.
      bootDeadlineMs: fault === "never-answer" ? 5_000 : 20_000,
    });
    await makeTemplate(daemon);
    failing = 1;
    const vm = await daemon.client.createVm(WISH);
    expect([vm.state, isWarm(vm)]).toEqual(["running", false]);
    expect(vm.startSteps.map(({ name }) => name)).toContain("template");
    expect((await daemon.client.exec(vm.id, { argv: ["true"] }).exit)?.exitCode).toBe(0);
    await daemon.templates.settled();
    expect(hypervisorsOf(daemon.home)).toEqual([vm.pid ?? 0]);
  },
);

test("a template that cannot be made is not tried again, and nobody notices", async () => {
  let boots = 0;
  await using daemon = await createWarmDaemon({
    driver: { faults: () => ((boots += 1) === 2 ? "fail-start" : undefined) },
  });
  expect(await makeTemplate(daemon)).toBe("none");
  expect(await makeTemplate(daemon)).toBe("none");
  expect(boots).toBe(3);
});

test("a daemon that ends gives up the template that it makes, and leaves nothing of it", async () => {
  const begun = Promise.withResolvers<void>();
  await using daemon = await createWarmDaemon({
    onStep: (step) => step === "template:boot" && begun.resolve(),
  });
  const vm = await daemon.client.createVm(WISH);
  await begun.promise;
  await daemon.crash();
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([vm.id]);
  expect(hypervisorsOf(daemon.home)).toEqual([vm.pid ?? 0]);
  await using _next = await createTestDaemon({ home: daemon.home });
});

test("templates are removed by id, or all of them; a VM that goes on from one lives on", async () => {
  await using daemon = await createWarmDaemon();
  const id = await makeTemplate(daemon);
  const vm = await daemon.client.createVm(WISH);
  expect(await daemon.client.removeTemplate(id)).toMatchObject({ id, image: "img", memoryMib: 128 });
  expect((await refusal(daemon.client.removeTemplate(id), "not_found")).message).toContain(id);
  await refusal(daemon.client.removeTemplate("../images"), "not_found");
  expect((await daemon.client.exec(vm.id, { argv: ["true"] }).exit)?.exitCode).toBe(0);
  await makeTemplate(daemon);
  expect(await daemon.client.pruneTemplates()).toBe(1);
  expect(await daemon.client.listTemplates()).toEqual([]);
});

test("a template outlives the daemon, and one of an image that is gone does not", async () => {
  const daemon = await createWarmDaemon();
  await makeTemplate(daemon);
  await daemon.crash();
  await using next = await createWarmDaemon({ home: daemon.home });
  const client = await Client.create(next.layout.socket);
  const vm = await client.createVm(WISH);
  expect(isWarm(vm)).toBe(true);
  await next.templates.shelf.sweep(() => false);
  expect(await client.listTemplates()).toEqual([]);
});
