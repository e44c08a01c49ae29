/** Two hundred snapshot operations while daemon and hypervisors are killed: the store stays valid, and nothing is left. */
import { expect, test } from "bun:test";
import { createTestDaemon } from "../support/test-daemon.ts";
import { createFaultHome, type DaemonProcess, startDaemon } from "./daemon-process.ts";
import { IMAGE } from "./operation.ts";
import { expectUsable, runSnapshotChaos } from "./snapshot-chaos.ts";
import { findLies, leftovers, NOTHING } from "./truth.ts";

const OPERATIONS = 200;
const SEED = 20_261_122;

test(`${OPERATIONS} snapshot operations, with daemons and hypervisors killed among them, leave a valid store`, async () => {
  await using home = await createFaultHome();
  let daemon: DaemonProcess | undefined;
  const report = await runSnapshotChaos(
    {
      client: async () => {
        daemon ??= await startDaemon(home, { templates: "4", pool: { [IMAGE]: 1 } });
        expect(daemon.greeting).toBe("ready");
        return daemon.client;
      },
      killDaemon: async () => {
        await daemon?.[Symbol.asyncDispose]();
        daemon = undefined;
      },
      hypervisors: () => leftovers(home.layout).pids,
    },
    { seed: SEED, operations: OPERATIONS, image: IMAGE, memoryMib: 128, diskMib: 64, withinMs: 250 },
  );
  await daemon?.[Symbol.asyncDispose]();
  console.log(`fault suite: ${JSON.stringify(report)}`);
  // One in four and one in two of a hundred draws; what draws in between depends on the moment.
  expect(report.daemons).toBeGreaterThan(OPERATIONS / 100);
  expect(report.hypervisors).toBeGreaterThan(OPERATIONS / 100);
  await using last = await createTestDaemon({ home: home.layout.stateDir });
  expect(await findLies(home.layout, last.client)).toEqual([]);
  await expectUsable(last.client);
  expect(leftovers(home.layout)).toEqual(NOTHING);
  expect(await findLies(home.layout, last.client)).toEqual([]);
});
