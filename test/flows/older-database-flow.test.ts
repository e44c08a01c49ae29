/** An older database is brought back: nothing that it does not know is lost, and there is a way back to all of it. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { DoctorRow } from "../../src/model/doctor.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "../support/test-daemon.ts";

const MIB = 1024 * 1024;

/** What `sqlite3 state.db ".backup copy.db"` makes. */
function backUp({ home, layout }: TestDaemon): string {
  const copy = join(home, "copy.db");
  using db = new Database(layout.database, { readonly: true });
  db.query("VACUUM INTO ?").run(copy);
  return copy;
}

/** The daemon ends, the copy takes the place of its database, and the next one starts. */
async function bringBack(
  daemon: TestDaemon,
  copy: string,
  options: TestDaemonOptions = {},
): Promise<TestDaemon> {
  const { layout, home } = daemon;
  await daemon.crash();
  for (const end of ["-wal", "-shm"]) rmSync(`${layout.database}${end}`, { force: true });
  copyFileSync(copy, layout.database);
  return await createTestDaemon({ ...options, home });
}

const recordRows = async ({ client }: TestDaemon): Promise<DoctorRow[]> =>
  (await client.doctor()).rows.filter(({ check }) => check === "records");

test("volumes that the database does not know are taken back with what is on them", async () => {
  const daemon = await createTestDaemon();
  await daemon.client.createVolume({ name: "old", sizeBytes: 64 * MIB });
  const copy = backUp(daemon);
  await daemon.client.createVolume({ name: "new", sizeBytes: 32 * MIB });
  const { id } = daemon.store.volumes.get("new");
  writeFileSync(daemon.layout.volume(id), "written", { flag: "r+" });
  await daemon.client.setVolume("old", { sizeBytes: 128 * MIB });

  await using next = await bringBack(daemon, copy);
  const names = (await next.client.listVolumes()).map(({ name, sizeBytes }) => [name, sizeBytes]);
  expect(names).toEqual([
    ["old", 128 * MIB],
    [`recovered-${id}`, 32 * MIB],
  ]);
  expect(readFileSync(next.layout.volume(id)).subarray(0, 7).toString()).toBe("written");
  expect(await recordRows(next)).toEqual([]);
  for (const name of ["old", `recovered-${id}`]) await next.client.removeVolume(name);
  expect(readdirSync(next.layout.volumesDir)).toEqual([]);
});

test("a file in the place of a volume that is none stays, and doctor tells of it", async () => {
  await using daemon = await createTestDaemon();
  const file = join(daemon.layout.volumesDir, "000000000000.ext4");
  writeFileSync(file, "x");
  await daemon.volumes.sweep();
  expect(await daemon.client.listVolumes()).toEqual([]);
  expect(readFileSync(file, "utf8")).toBe("x");
  expect(await recordRows(daemon)).toMatchObject([
    { verdict: "warn", cure: expect.stringContaining(`rm ${file}`) },
  ]);
});

test("snapshots that the database does not know are taken back as they were", async () => {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  const { client } = daemon;
  await client.createVm({ name: "web", image: "img", diskMib: 64 });
  const copy = backUp(daemon);
  const made = await client.createSnapshot("web", { name: "ready" });
  const disk = await client.createSnapshot("web", { name: "disk", diskOnly: true });

  await using next = await bringBack(daemon, copy);
  expect(await next.client.listSnapshots()).toEqual([made, disk]);
  expect(await recordRows(next)).toEqual([]);
  expect(await next.client.restoreVm("web", "ready")).toMatchObject({ state: "running" });
  expect(await next.client.createVm({ name: "twin", snapshot: "disk" })).toMatchObject({ state: "running" });
  for (const name of ["ready", "disk"]) await next.client.removeSnapshot(name);
  expect(readdirSync(next.layout.snapshotsDir)).toEqual([]);
});

test("a snapshot of an earlier version, which does not say what it was, stays; so does the name of another", async () => {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  const { client, layout } = daemon;
  await client.createVm({ name: "web", image: "img", diskMib: 64 });
  const copy = backUp(daemon);
  const { id: early } = await client.createSnapshot("web", { name: "early", diskOnly: true });
  const { id: same } = await client.createSnapshot("web", { name: "same", diskOnly: true });
  rmSync(join(layout.snapshotsDir, early, "record.json"));
  renameSync(join(layout.snapshotsDir, same), join(daemon.home, "aside"));

  const between = await bringBack(daemon, copy);
  const [row] = await recordRows(between);
  expect(row?.message).toContain(join(layout.snapshotsDir, early));
  expect(row?.cure).toContain(`rm -r ${join(layout.snapshotsDir, early)}`);
  await between.client.createSnapshot("web", { name: "same", diskOnly: true });
  await between.crash();
  renameSync(join(daemon.home, "aside"), join(layout.snapshotsDir, same));

  await using next = await createTestDaemon({ home: daemon.home });
  const names = (await next.client.listSnapshots()).map(({ name }) => name);
  expect(names.toSorted()).toEqual([`recovered-${same}`, "same"]);
  expect(existsSync(join(layout.snapshotsDir, early, "disk.ext4"))).toBe(true);
});

test("the disk of a VM that the database does not know stays, and goes into a new VM by hand", async () => {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  const copy = backUp(daemon);
  const { id } = await daemon.client.createVm({ name: "web", image: "img", diskMib: 64 });
  await daemon.client.stopVm("web");
  await daemon.client.setVm("web", { diskMib: 128 });
  writeFileSync(daemon.layout.disk(id), "written", { flag: "r+" });

  await using next = await bringBack(daemon, copy);
  const { client, layout } = next;
  const [row] = await recordRows(next);
  expect(row).toMatchObject({
    verdict: "warn",
    message: `the disk of a VM in ${layout.vmDir(id)} has no record`,
  });
  expect(row?.cure).toContain(`rm -r ${layout.vmDir(id)}`);
  // As docs/operating.md says.
  const made = await client.createVm({ name: "again", image: "img", diskMib: 64 }, { start: false });
  renameSync(layout.disk(id), layout.disk(made.id));
  rmSync(layout.vmDir(id), { recursive: true });
  expect(await client.startVm("again")).toMatchObject({ state: "running" });
  expect(readFileSync(layout.disk(made.id)).subarray(0, 7).toString()).toBe("written");
  expect(await recordRows(next)).toEqual([]);
});

test("a VM whose first start from a snapshot the database does not know keeps the disk that it wrote to", async () => {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  const { client } = daemon;
  await client.createVm({ name: "web", image: "img", diskMib: 64 });
  await client.createSnapshot("web", { name: "ready" });
  const { id } = await client.createVm({ name: "twin", snapshot: "ready" }, { start: false });
  const copy = backUp(daemon);
  await client.startVm("twin");
  await client.stopVm("twin");
  writeFileSync(daemon.layout.disk(id), "written", { flag: "r+" });

  await using next = await bringBack(daemon, copy);
  expect(await next.client.startVm("twin")).toMatchObject({ state: "running" });
  expect(readFileSync(next.layout.disk(id)).subarray(0, 7).toString()).toBe("written");
});

test("an image that the database does not know stays, gets a name again by its digest, or goes with prune --all", async () => {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  const copy = backUp(daemon);
  const kept = await daemon.addImage("kept");
  const given = await daemon.addImage("given");
  for (const name of ["kept", "given"]) await daemon.client.tagImage(name, `${name}:2`);

  await using next = await bringBack(daemon, copy);
  const { client, layout } = next;
  // It sweeps, too, as a daemon does that starts.
  const fates = await client.pruneImages({});
  for (const digest of [kept, given]) {
    expect(fates.find(({ id }) => id === digest)).toMatchObject({
      removed: false,
      reason: expect.stringContaining(`banger image tag ${digest} NAME`),
    });
    expect(readdirSync(layout.imagesDir)).toContain(digest);
  }
  expect((await recordRows(next)).map(({ message }) => message).toSorted()).toEqual(
    [kept, given].map((digest) => `the image ${digest} has no record`).toSorted(),
  );
  expect(await client.tagImage(kept, "back")).toMatchObject({ name: "back", digest: kept });
  await client.pruneImages({ all: true });
  expect(readdirSync(layout.imagesDir)).not.toContain(given);
  expect(await recordRows(next)).toEqual([]);
});

test("while a VM's disk has no record, no image is swept that it may need", async () => {
  const daemon = await createTestDaemon();
  const early = await daemon.addImage("img");
  await daemon.client.createVm({ name: "first", image: "img", diskMib: 64 }, { start: false });
  await daemon.addImage("other");
  // The name moves on, and the VM's image has none any more.
  await daemon.client.tagImage("other", "img");
  const copy = backUp(daemon);
  await daemon.client.startVm("first");
  await daemon.client.stopVm("first");
  const { id } = await daemon.client.showVm("first");

  await using next = await bringBack(daemon, copy);
  next.store.vms.remove(id);
  // The log of removals is as lost as the record.
  using db = new Database(next.layout.database);
  db.run("DELETE FROM events");
  await next.client.pruneImages({});
  expect(await recordRows(next)).toHaveLength(1);
  expect(readdirSync(next.layout.imagesDir)).toContain(early);
  rmSync(next.layout.vmDir(id), { recursive: true });
});

test("a child of a fork that was under way in the database, and runs since, is kept with its disk", async () => {
  let copy = "";
  const daemon = await createTestDaemon({
    onStep: (step) => {
      if (step === "fork:reserved") copy = backUp(daemon);
    },
  });
  await daemon.addImage("img");
  const { client } = daemon;
  await client.createVm({ name: "web", image: "img", diskMib: 64 });
  const [child] = (await client.forkVm("web", { prefix: "child" })).vms;
  if (child === undefined) throw new Error("nothing was forked");
  await client.stopVm(child.id);
  writeFileSync(daemon.layout.disk(child.id), "written", { flag: "r+" });

  await using next = await bringBack(daemon, copy);
  expect(await next.client.showVm(child.id)).toMatchObject({ state: "stopped", ephemeral: false });
  expect(readFileSync(next.layout.disk(child.id)).subarray(0, 7).toString()).toBe("written");
  expect(await next.client.startVm(child.id)).toMatchObject({ state: "running" });
});

test("of a run whose record a power cut took nothing is kept", async () => {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  const { client, layout, store } = daemon;
  const ready = Promise.withResolvers<void>();
  const run = client.run(
    { vm: { image: "img", diskMib: 64 }, exec: { argv: ["sh", "-c", "echo up; sleep 1000"] }, remove: true },
    { onStdout: () => ready.resolve() },
  );
  run.exit.catch(() => undefined);
  await ready.promise;
  const [vm] = store.vms.list();
  expect(existsSync(layout.disk(vm?.id ?? ""))).toBe(true);
  const copy = backUp(daemon);
  {
    using db = new Database(copy);
    for (const table of ["vms", "events"]) db.run(`DELETE FROM ${table}`);
  }
  await using next = await bringBack(daemon, copy);
  expect(readdirSync(next.layout.vmsDir)).toEqual([]);
  expect(await recordRows(next)).toEqual([]);
});
