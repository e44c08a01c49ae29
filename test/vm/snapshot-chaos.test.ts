/** Snapshot operations on real guests while daemon and hypervisors are killed: the store stays valid, and nothing is left. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { identifyProcess } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { expectUsable, runSnapshotChaos } from "../fault/snapshot-chaos.ts";
import { createRealHome } from "../support/real-home.ts";

const OPERATIONS = 30;

test(`${OPERATIONS} snapshot operations on real guests, with daemons and hypervisors killed among them, leave a valid store`, async () => {
  await using home = await createRealHome({ templates: true });
  const client = async (): ReturnType<typeof home.client> => {
    expect(await home.banger(["daemon", "start"])).toMatchObject({ code: 0 });
    return await home.client();
  };
  const report = await runSnapshotChaos(
    {
      client,
      killDaemon: async () => {
        const daemon = identifyProcess(await home.daemonPid());
        const watch = daemon && (await watchProcess(daemon));
        if (watch?.signal("SIGKILL") === true) await watch.ended;
      },
      hypervisors: () => home.hypervisors(),
    },
    { seed: 7, operations: OPERATIONS, image: "debian", memoryMib: 256, diskMib: 1024, withinMs: 5_000 },
  );
  console.log(JSON.stringify(report));
  await expectUsable(await client());
  for (const room of ["vms", "snapshots", "templates"]) {
    const path = join(home.home, room);
    expect(existsSync(path) ? readdirSync(path) : []).toEqual([]);
  }
  expect(home.hypervisors()).toEqual([]);
});
