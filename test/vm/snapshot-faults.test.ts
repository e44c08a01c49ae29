/** What goes wrong in the middle of a real snapshot, or with one: nothing half made is seen, and the VM is unharmed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, watch } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { identifyProcess } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { dataRanges } from "../../src/lib/sparse-copy.ts";
import type { Client } from "../../src/sdk/index.ts";
import { createSmallDisk, whyNoMounts } from "../fault/host-faults.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { refusal } from "../support/refusal.ts";

/** Less than a guest's memory, more than its disk. */
const SMALL_MIB = 24;
const noMounts = whyNoMounts();
if (noMounts !== undefined) console.warn(`skipped: a full disk (${noMounts})`);

describe("a real VM whose snapshot fails", () => {
  let home: RealHome;
  let client: Client;
  const snapshotsDir = (): string => join(home.home, "snapshots");

  beforeAll(async () => {
    home = await createRealHome();
    const made = ["run", "-d", "-q", "--name", "web", "--memory", "256M", "--disk", "1G"];
    expect(await home.banger(made)).toMatchObject({ code: 0 });
    mkdirSync(snapshotsDir(), { mode: 0o700, recursive: true });
    client = await home.client();
    expect(await sh("echo kept >/root/file; echo kept >/dev/shm/file; sync")).toBe("");
  });
  afterAll(async () => await home[Symbol.asyncDispose]());

  async function sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await home.banger(["exec", "web", "--", "sh", "-c", script]);
    if (code !== 0) throw new Error(`${script}: ${code}: ${stderr}`);
    return stdout.trim();
  }

  /** It runs as before, and there is no snapshot and nothing of one. */
  async function expectUnharmed(pid: number | undefined): Promise<void> {
    expect(await client.showVm("web")).toMatchObject({ state: "running", pid });
    expect(await sh("cat /root/file /dev/shm/file; echo more >>/root/more; sync")).toBe("kept\nkept");
    expect([await client.listSnapshots(), readdirSync(snapshotsDir())]).toEqual([[], []]);
  }

  /** Does it as soon as something of a snapshot is on disk: a moment later the snapshot may be whole. */
  async function onceBegun(work: () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watcher = watch(snapshotsDir(), () => {
      watcher.close();
      work();
      resolve();
    });
    await promise;
  }

  test.skipIf(noMounts !== undefined)("for want of disk goes on, and the next one succeeds", async () => {
    const { pid } = await client.showVm("web");
    {
      using _small = createSmallDisk(SMALL_MIB, snapshotsDir());
      const { code } = await refusal(client.createSnapshot("web", { name: "no" }));
      expect(code).toBe("resource_exhausted");
      await refusal(client.forkVm("web"), "resource_exhausted");
      await expectUnharmed(pid);
      expect(await client.listVms()).toHaveLength(1);
    }
    await client.createSnapshot("web", { name: "yes" });
    await client.removeSnapshot("yes");
    await expectUnharmed(pid);
  });

  test("because the daemon is killed goes on, and is adopted", async () => {
    const { pid } = await client.showVm("web");
    const daemon = identifyProcess(await home.daemonPid());
    const watched = daemon && (await watchProcess(daemon));
    const killing = onceBegun(() => void watched?.signal("SIGKILL"));
    const saving = refusal(client.createSnapshot("web", { name: "no" }), "unavailable");
    await killing;
    await watched?.ended;
    await saving;
    expect(await home.banger(["daemon", "start"])).toMatchObject({ code: 0 });
    client = await home.client();
    await expectUnharmed(pid);
  });

  test.each(["machine/memory", "machine/state", "disk.ext4"])(
    "is not taken back to one whose %s has a flipped bit, nor is another made from it",
    async (name) => {
      const before = await client.listVms();
      const { id } = await client.createSnapshot("web", { name: "bad" });
      await flipBit(join(snapshotsDir(), id, name));
      for (const attempt of [
        () => client.restoreVm("web", "bad"),
        () => client.run({ vm: { snapshot: "bad" }, exec: { argv: ["true"] }, remove: true }).exit,
      ]) {
        expect((await refusal(attempt(), "failed_precondition")).message).toContain(`${name} is damaged`);
      }
      expect(await client.listVms()).toEqual(before);
      await client.removeSnapshot("bad");
      await expectUnharmed(before[0]?.pid);
    },
  );

  test("because its hypervisor is killed can be started again, with what was on its disk", async () => {
    const { pid = 0 } = await client.showVm("web");
    const killing = onceBegun(() => void process.kill(pid, "SIGKILL"));
    const saving = refusal(client.createSnapshot("web", { name: "no" }), "unavailable");
    await killing;
    await saving;
    expect([await client.listSnapshots(), readdirSync(snapshotsDir())]).toEqual([[], []]);
    // The connection to a hypervisor ends before its process is known to have ended.
    expect((await client.waitVm("web")).state).toBe("stopped");
    await client.startVm("web");
    expect(await sh("cat /root/file")).toBe("kept");
  });
});

/** In the middle of what the file holds. */
async function flipBit(path: string): Promise<void> {
  await using file = await open(path, "r+");
  const ranges = dataRanges(file, (await file.stat()).size);
  const { start = 0, end = 1 } = ranges[ranges.length >> 1] ?? {};
  const at = Math.floor((start + end) / 2);
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, at);
}
