/** A VM is taken back to a snapshot, and the host has no room for its disk: the VM keeps the one that it has, and nothing is left of the other. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";
import { createSmallDisk, fillDisk, whyNoMounts } from "./host-faults.ts";

const noMounts = whyNoMounts();
if (noMounts !== undefined) console.warn(`skipped: a restore on a full disk (${noMounts})`);

test.skipIf(noMounts !== undefined)(
  "a restore for which there is no room is resource_exhausted, leaves nothing behind, and works once there is room",
  async () => {
    using disk = createSmallDisk(64);
    const home = join(disk.path, "home");
    mkdirSync(home, { mode: 0o700 });
    await using daemon = await createTestDaemon({ home });
    await daemon.addImage("img");
    const { client, layout } = daemon;
    const { id } = await client.createVm({ name: "web", image: "img", diskMib: 64 });
    await client.stopVm("web");
    await client.createSnapshot("web", { name: "ready" });
    const files = readdirSync(layout.vmDir(id)).toSorted();
    const content = readFileSync(layout.disk(id));
    {
      using _full = fillDisk(disk.path);
      const { message } = await refusal(client.restoreVm("web", "ready"), "resource_exhausted");
      expect(message).toContain(layout.disk(id));
    }
    expect(readdirSync(layout.vmDir(id)).toSorted()).toEqual(files);
    expect(readFileSync(layout.disk(id)).equals(content)).toBe(true);
    expect(await client.restoreVm("web", "ready")).toMatchObject({ state: "stopped" });
    await client.removeSnapshot("ready");
  },
);
