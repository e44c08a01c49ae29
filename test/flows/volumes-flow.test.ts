/** Volumes through client and server with the fake driver: who may have one, what outlives what, and what a crash leaves. */
import { expect, test } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 * 1024;
const at = (volume: string, readOnly = false) => [{ volume, target: "/data", readOnly }];

async function furnished(): Promise<TestDaemon> {
  const daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVolume({ name: "data", sizeBytes: 64 * MIB });
  return daemon;
}

const files = (daemon: TestDaemon): string[] => readdirSync(daemon.layout.volumesDir);

test("a volume is made sparse, listed, grown, and deleted with its file", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  const [volume] = await client.listVolumes();
  expect(volume).toMatchObject({ name: "data", sizeBytes: 64 * MIB, vms: [] });
  expect(volume?.storedBytes).toBeLessThan(5 * MIB);
  const grown = await client.setVolume("data", { sizeBytes: 128 * MIB });
  expect(grown.sizeBytes).toBe(128 * MIB);
  expect(statSync(join(daemon.layout.volumesDir, files(daemon)[0] ?? "")).size).toBe(128 * MIB);
  await refusal(client.setVolume("data", { sizeBytes: 64 * MIB }), "invalid_argument");
  await refusal(client.createVolume({ name: "data", sizeBytes: 64 * MIB }), "already_exists");
  await refusal(client.createVolume({ name: "tiny", sizeBytes: 1 }), "invalid_argument");
  await refusal(client.showVolume("no"), "not_found");
  await client.removeVolume("data");
  expect([await client.listVolumes(), files(daemon)]).toEqual([[], []]);
});

test("one VM writes or many read: anybody else is refused with the holder's name", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  await client.createVm({ name: "writer", image: "img", volumes: at("data") });
  for (const readOnly of [false, true]) {
    const name = readOnly ? "reader" : "second";
    const error = await refusal(
      client.createVm({ name, image: "img", volumes: at("data", readOnly) }),
      "failed_precondition",
    );
    expect(error.message).toBe("the volume data is in use by the VM writer");
  }
  await refusal(client.setVolume("data", { sizeBytes: 128 * MIB }), "failed_precondition");
  await client.killVm("writer");
  await client.startVm("reader");
  await client.createVm({ name: "reader-2", image: "img", volumes: at("data", true) });
  await refusal(client.startVm("writer"), "failed_precondition");
  expect((await client.showVolume("data")).vms).toEqual(["writer", "second", "reader", "reader-2"]);
  const used = await refusal(client.removeVolume("data"), "failed_precondition");
  expect(used.message).toContain("belongs to the VM writer");
  for (const name of ["writer", "second", "reader", "reader-2"]) await client.removeVm(name, { force: true });
  await client.removeVolume("data");
});

test("of a VM with volumes its own disk is saved, and nothing that runs", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  await client.createVm({ name: "writer", image: "img", volumes: at("data"), diskMib: 64 });
  for (const attempt of [() => client.createSnapshot("writer"), () => client.forkVm("writer")]) {
    const { cure } = await refusal(attempt(), "unsupported");
    expect(cure).toContain("banger snapshot create writer --disk-only");
  }
  expect([await client.listSnapshots(), (await client.listVms()).length]).toEqual([[], 1]);
  await client.createSnapshot("writer", { name: "up", diskOnly: true });
  await client.stopVm("writer");
  await client.createSnapshot("writer", { name: "off" });
  const plain = await client.createVm({ name: "plain", snapshot: "up" });
  expect([plain.state, plain.spec.volumes]).toEqual(["running", undefined]);
  const other = await client.createVm({ name: "other", snapshot: "off", volumes: at("data") });
  expect([other.state, other.spec.volumes]).toEqual(["running", at("data")]);
  await client.removeVm("other", { force: true });
  const restored = await client.restoreVm("writer", "off");
  expect([restored.state, restored.spec.volumes]).toEqual(["stopped", at("data")]);
  await client.createSnapshot("plain", { name: "plain" });
  const more = { snapshot: "plain", volumes: at("data") };
  expect((await refusal(client.createVm(more), "invalid_argument")).cure).toBe("leave --volume away");
});

test("of two VMs that start at once one gets the volume", async () => {
  await using daemon = await furnished();
  const { client } = daemon;
  for (const name of ["a", "b"]) {
    await client.createVm({ name, image: "img", volumes: at("data") }, { start: false });
  }
  const outcomes = await Promise.allSettled(["a", "b"].map((name) => client.startVm(name)));
  expect(outcomes.map((outcome) => outcome.status).toSorted()).toEqual(["fulfilled", "rejected"]);
});

test("the next daemon knows who has a volume, and removes what was not recorded yet", async () => {
  const first = await furnished();
  await first.client.createVm({ name: "writer", image: "img", volumes: at("data") });
  await first.crash();
  await using next = await createTestDaemon({ home: first.home });
  await refusal(
    next.client.createVm({ name: "second", image: "img", volumes: at("data") }),
    "failed_precondition",
  );
  await next.client.removeVm("writer", { force: true });
  await next.client.startVm("second");
  writeFileSync(join(next.layout.volumesDir, "000000000000.ext4.unrecorded"), "");
  await next.volumes.sweep();
  expect(files(next).length).toBe(1);
});

test.each([
  ["a volume that is not there", [{ volume: "no", target: "/data", readOnly: false }], "not_found"],
  ["a path that the guest needs", [{ volume: "data", target: "/usr", readOnly: false }], "invalid_argument"],
  ["a path that goes up", [{ volume: "data", target: "/a/../b", readOnly: false }], "invalid_argument"],
  ["a volume twice", [...at("data"), { volume: "data", target: "/b", readOnly: false }], "invalid_argument"],
  [
    "a path twice",
    [...at("data"), { volume: "other", target: "/data", readOnly: false }],
    "invalid_argument",
  ],
] as const)("create refuses %s and leaves no VM", async (_, volumes, code) => {
  await using daemon = await furnished();
  await refusal(daemon.client.createVm({ name: "web", image: "img", volumes }), code);
  expect(await daemon.client.listVms()).toEqual([]);
});
