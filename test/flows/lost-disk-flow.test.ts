/** A disk that was written to is gone: nothing empty takes its place, and the error says where it was. */
import { expect, test } from "bun:test";
import { copyFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 * 1024;

test.each([false, true])(
  "a VM that ran and whose disk was deleted does not start with an empty one (templates: %j); with its disk back it starts",
  async (templates) => {
    await using daemon = await createTestDaemon({ templates });
    await daemon.addImage("img");
    const { client, layout } = daemon;
    const { id } = await client.createVm({ name: "web", image: "img", diskMib: 64 });
    await daemon.templates.settled();
    await client.stopVm("web");
    const disk = layout.disk(id);
    const aside = join(daemon.home, "aside.ext4");
    renameSync(disk, aside);
    const { message, cure } = await refusal(client.startVm("web"), "failed_precondition");
    expect(message).toBe(`the disk of web is gone: ${disk}`);
    expect(cure).toContain("banger rm web");
    expect(readdirSync(layout.vmDir(id))).not.toContain("disk.ext4");
    expect(await client.showVm("web")).toMatchObject({ state: "stopped", lastError: { message } });
    copyFileSync(aside, disk);
    rmSync(aside);
    expect(await client.startVm("web")).toMatchObject({ state: "running" });
  },
);

test("a volume whose file was deleted is not begun anew: neither by a start nor by its growth", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  const { client, layout } = daemon;
  await client.createVolume({ name: "data", sizeBytes: 64 * MIB });
  const { id } = daemon.store.volumes.get("data");
  const volumes = [{ volume: "data", target: "/data", readOnly: false }];
  await client.createVm({ name: "web", image: "img", volumes });
  await client.stopVm("web");
  rmSync(layout.volume(id));
  for (const attempt of [
    () => client.startVm("web"),
    () => client.setVolume("data", { sizeBytes: 128 * MIB }),
  ]) {
    const { message, cure } = await refusal(attempt(), "failed_precondition");
    expect(message).toBe(`the file of the volume data is gone: ${layout.volume(id)}`);
    expect(cure).toContain("banger volume rm data");
  }
  expect(readdirSync(layout.volumesDir)).toEqual([]);
  await client.removeVm("web");
  await client.removeVolume("data");
  expect(await client.listVolumes()).toEqual([]);
});
