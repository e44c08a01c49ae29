/** Snapshots through the real client and the real server, with the fake hypervisor and the real agent in rehearsal. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CapabilityContext } from "../../src/model/capability.ts";
import { createFakeDriver } from "../../src/vmm/fake/driver.ts";
import { agentProgram } from "../../src/vmm/fake/programs.ts";
import type { Driver } from "../../src/vmm/port.ts";
import { AGENT } from "../support/agent.ts";
import { refusal } from "../support/refusal.ts";
import { mark, WEB, wentOn, withWeb, works, writeMark } from "../support/snapshot-daemon.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

test("a running VM is saved, listed, shown, gone on from under a new name, and goes on itself", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  const web = await client.showVm("web");
  await writeMark(daemon, "saved");
  const snapshot = await client.createSnapshot("web", { name: "ready" });
  expect(snapshot).toMatchObject({
    name: "ready",
    vm: web.id,
    vmName: "web",
    kind: "machine",
    spec: web.spec,
  });
  expect(snapshot.pauseMs).toBeGreaterThan(0);
  expect(await client.listSnapshots()).toEqual([snapshot]);
  expect(await client.showSnapshot(snapshot.id)).toEqual(snapshot);
  await writeMark(daemon, "later");
  expect(await client.showVm("web")).toEqual(web);
  expect(await works(daemon, "web")).toBe(true);
  const twin = await client.createVm({ name: "twin", snapshot: "ready", diskMib: 96, env: { A: "b" } });
  expect([wentOn(twin), twin.parent, twin.spec]).toEqual([
    true,
    snapshot.id,
    { ...web.spec, diskMib: 96, env: { A: "b" } },
  ]);
  expect([twin.address === web.address, twin.bootId === web.bootId]).toEqual([false, false]);
  expect(await mark(daemon, "saved").read("twin")).toBe("saved");
  expect(await client.removeSnapshot("ready")).toEqual(snapshot);
  expect(await works(daemon, "twin")).toBe(true);
  expect(readdirSync(daemon.layout.snapshotsDir)).toEqual([]);
  await refusal(client.showSnapshot("ready"), "not_found");
  await client.stopVm("twin");
  expect(wentOn(await client.startVm("twin"))).toBe(false);
});

test("names are the VM's with a number, and belong to one snapshot", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  expect((await client.createSnapshot("web")).name).toBe("web-1");
  expect((await client.createSnapshot("web")).name).toBe("web-2");
  await refusal(client.createSnapshot("web", { name: "web-1" }), "already_exists");
  await refusal(client.createSnapshot("web", { name: "../x" }), "invalid_argument");
  const both = await Promise.allSettled([1, 2].map(() => client.createSnapshot("web", { name: "same" })));
  expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(readdirSync(daemon.layout.snapshotsDir)).toHaveLength(3);
});

test("a paused VM is saved and stays paused; of a stopped one, and with --disk-only, it is the disk", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  expect((await client.createSnapshot("web", { diskOnly: true })).kind).toBe("disk");
  await client.pauseVm("web");
  expect((await client.createSnapshot("web")).kind).toBe("machine");
  expect((await client.showVm("web")).state).toBe("paused");
  await client.stopVm("web");
  await writeMark(daemon, "saved");
  const snapshot = await client.createSnapshot("web", { name: "off" });
  expect([snapshot.kind, snapshot.pauseMs]).toEqual(["disk", 0]);
  const twin = await client.createVm({ name: "twin", snapshot: "off", vcpus: 2, memoryMib: 256 });
  expect([wentOn(twin), twin.spec.vcpus, await mark(daemon, "saved").read("twin")]).toEqual([
    false,
    2,
    "saved",
  ]);
  await client.createVm({ ...WEB, name: "new" }, { start: false });
  expect((await refusal(client.createSnapshot("new"), "failed_precondition")).cure).toContain(
    "banger start new",
  );
});

test("restore takes disk, size and state back, ends what runs with the reason, and keeps name and address", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  const before = await client.showVm("web");
  await writeMark(daemon, "saved");
  await client.createSnapshot("web", { name: "ready" });
  await writeMark(daemon, "later");
  await client.setVm("web", { diskMib: 96, vcpus: 3 });
  const running = client.exec("web", { argv: ["sleep", "1000"] });
  await running.started;
  const restored = await client.restoreVm("web", "ready");
  expect((await refusal(running.exit)).message).toContain("taken back to its snapshot ready");
  expect(restored).toMatchObject({ id: before.id, name: "web", address: before.address, spec: before.spec });
  expect([restored.state, wentOn(restored), restored.pending]).toEqual(["running", true, []]);
  expect(await mark(daemon, "saved").read("web")).toBe("saved");
  expect(await works(daemon, "web")).toBe(true);
  await client.stopVm("web");
  expect((await client.restoreVm("web", "ready")).state).toBe("running");
  await client.createVm({ ...WEB, name: "other" });
  expect((await refusal(client.restoreVm("other", "ready"), "invalid_argument")).cure).toContain(
    "--snapshot ready",
  );
});

test("a snapshot of the disk restores a stopped VM to a stopped one, and boots one that was up", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  await client.createSnapshot("web", { name: "disk", diskOnly: true });
  const booted = await client.restoreVm("web", "disk");
  expect([booted.state, wentOn(booted)]).toEqual(["running", false]);
  await client.stopVm("web");
  expect((await client.restoreVm("web", "disk")).state).toBe("stopped");
});

test.each(["machine/state", "machine/memory", "disk.ext4", "saved.json"])(
  "a snapshot whose %s is damaged is refused before anything is touched",
  async (name) => {
    await using daemon = await withWeb();
    const { client } = daemon;
    const { id } = await client.createSnapshot("web", { name: "ready" });
    const path = join(daemon.layout.snapshotsDir, id, name);
    const bytes = readFileSync(path);
    const changed = bytes.length === 0 ? Buffer.from([1]) : Buffer.from(bytes);
    changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
    writeFileSync(path, changed);
    const before = await client.showVm("web");
    expect((await refusal(client.restoreVm("web", "ready"), "failed_precondition")).message).toContain(
      "damaged",
    );
    expect(await client.showVm("web")).toEqual(before);
    await refusal(client.createVm({ name: "twin", snapshot: "ready" }), "failed_precondition");
    await client.removeVm("twin");
    await client.removeSnapshot("ready");
  },
);

test("what a snapshot cannot give is refused before there is a VM", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  await daemon.addImage("other");
  await client.createSnapshot("web", { name: "ready" });
  for (const wish of [{ memoryMib: 256 }, { vcpus: 7 }, { image: "other" }] as const) {
    await refusal(client.createVm({ ...wish, snapshot: "ready" }), "invalid_argument");
  }
  await client.setVm("web", { diskMib: 96 });
  await client.createSnapshot("web", { name: "larger" });
  await refusal(client.createVm({ diskMib: 64, snapshot: "larger" }), "invalid_argument");
  await refusal(client.createVm({ snapshot: "nothing" }), "not_found");
  expect(await client.listVms()).toHaveLength(1);
});

test("an image that a snapshot needs stays", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  await client.createSnapshot("web", { name: "ready" });
  await client.removeVm("web", { force: true });
  expect((await refusal(client.removeImage("img"), "failed_precondition")).cure).toContain(
    "snapshot rm ready",
  );
  expect(wentOn(await client.createVm({ name: "again", snapshot: "ready" }))).toBe(true);
});

test("a snapshot of a VM that was made from a snapshot stands for itself; one that a VM still waits for stays", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  await writeMark(daemon, "saved");
  await client.createSnapshot("web", { name: "root" });
  await client.createVm({ name: "child", snapshot: "root" });
  await client.createSnapshot("child", { name: "branch" });
  await client.createVm({ name: "waits", snapshot: "root" }, { start: false });
  const { cure } = await refusal(client.removeSnapshot("root"), "failed_precondition");
  expect(cure).toContain("banger start waits");
  expect(wentOn(await client.startVm("waits"))).toBe(true);
  await client.removeSnapshot("root");
  for (const name of ["web", "waits"]) await client.removeVm(name, { force: true });
  const leaf = await client.createVm({ name: "leaf", snapshot: "branch" });
  expect([wentOn(leaf), await mark(daemon, "saved").read("leaf")]).toEqual([true, "saved"]);
  expect(await works(daemon, "child")).toBe(true);
  expect(await client.restoreVm("child", "branch")).toMatchObject({ state: "running" });
});

test("a stopped and a paused VM are not forked, and a snapshot that something starts from is not removed", async () => {
  const [begun, refused] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const preflight = async ({ vm }: CapabilityContext): Promise<void> => {
    if (vm.name !== "twin") return;
    begun.resolve();
    await refused.promise;
  };
  await using daemon = await withWeb({ capabilities: [{ name: "waits", preflight }] });
  const { client } = daemon;
  await client.createSnapshot("web", { name: "ready" });
  const starting = client.createVm({ name: "twin", snapshot: "ready" });
  await begun.promise;
  await refusal(client.removeSnapshot("ready"), "conflict");
  refused.resolve();
  await starting;
  await client.pauseVm("web");
  expect((await refusal(client.forkVm("web"), "failed_precondition")).cure).toContain("banger resume web");
  await client.stopVm("web");
  expect((await refusal(client.forkVm("web"), "failed_precondition")).cure).toContain("banger start web");
});

test("what another hypervisor, version or CPU saved is refused, and its templates are passed over", async () => {
  const first = await withWeb({ templates: true });
  await first.templates.settled();
  await first.client.createSnapshot("web", { name: "ready" });
  await first.client.createSnapshot("web", { name: "disk", diskOnly: true });
  await first.crash();
  const fake = createFakeDriver({ program: agentProgram(AGENT) });
  const other: Driver = {
    name: fake.name,
    probe: async () => ({ ...(await fake.probe()), snapshotKey: "another" }),
    start: async (...words) => await fake.start(...words),
    resume: async (...words) => await fake.resume(...words),
    adopt: async (...words) => await fake.adopt(...words),
  };
  await using daemon = await createTestDaemon({ home: first.home, templates: true, drivers: [other] });
  const { client } = daemon;
  const { id, pid, startedAt } = await client.showVm("web");
  for (const attempt of [
    () => client.restoreVm("web", "ready"),
    () => client.run({ vm: { snapshot: "ready" }, exec: { argv: ["true"] }, remove: true }).exit,
  ]) {
    const { message } = await refusal(attempt(), "failed_precondition");
    expect(message).toContain("another hypervisor, version or CPU");
  }
  expect(await client.showVm("web")).toMatchObject({ state: "running", pid, startedAt });
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([id]);
  const booted = await client.createVm({ ...WEB, name: "booted" });
  expect(wentOn(booted)).toBe(false);
  expect(wentOn(await client.createVm({ name: "twin", snapshot: "disk" }))).toBe(false);
});

test("the guest's freeze is over after a snapshot, and after one that failed", async () => {
  await using daemon = await withWeb();
  const { client } = daemon;
  const gone = new AbortController();
  const cancelled = client.createSnapshot("web", { name: "no" }, { signal: gone.signal });
  gone.abort();
  await refusal(cancelled);
  await client.createSnapshot("web", { name: "yes" });
  expect(await works(daemon, "web")).toBe(true);
});

test("what is saved while a daemon still sweeps after its start is there afterwards", async () => {
  await using daemon = await withWeb();
  const { client, layout, snapshots } = daemon;
  const over = new AbortController();
  const sweeping = (async () => {
    while (!over.signal.aborted) await snapshots.sweep();
  })();
  const made: string[] = [];
  for (let count = 0; count < 10; count += 1)
    made.push((await client.createSnapshot("web", { diskOnly: true })).id);
  over.abort();
  await sweeping;
  expect(readdirSync(layout.snapshotsDir).toSorted()).toEqual(made.toSorted());
  for (const id of made) await client.removeSnapshot(id);
});
