/** The host fails: disk full, a directory that cannot be written, a locked database, a clock that jumps. Clear errors, and records intact. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Layout } from "../../src/host/layout.ts";
import type { ErrorBody } from "../../src/model/errors.ts";
import { BangerError, type Client, type ErrorCode } from "../../src/sdk/index.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";
import { createFaultHome, startDaemon } from "./daemon-process.ts";
import {
  createSmallDisk,
  fillDisk,
  holdDatabase,
  IS_ROOT,
  lockDatabase,
  makeUnwritable,
  whyNoMounts,
} from "./host-faults.ts";
import { IMAGE, VM } from "./operation.ts";
import { findLies, leftovers, NOTHING } from "./truth.ts";

const noMounts = whyNoMounts();
if (noMounts !== undefined) console.warn(`skipped: faults of mounted file systems (${noMounts})`);

/** Two VMs, one that runs and one that never did. */
async function makeVms(client: Client): Promise<void> {
  await client.createVm({ name: VM, image: IMAGE });
  await client.createVm({ name: "idle", image: IMAGE }, { start: false });
}

/** What the client hears of an operation. */
async function outcome(work: Promise<unknown>): Promise<ErrorCode | "ok"> {
  return await work.then(
    () => "ok" as const,
    (error: unknown) => BangerError.from(error).code,
  );
}

/** Everything works again, and nothing is left of what failed. */
async function expectRecovered(layout: Layout, client: Client): Promise<void> {
  expect(await findLies(layout, client)).toEqual([]);
  for (const vm of await client.listVms()) {
    expect(await client.startVm(vm.id)).toMatchObject({ state: "running" });
    expect(await client.stopVm(vm.id)).toMatchObject({ state: "stopped" });
  }
  await client.createVm({ name: "late", image: IMAGE });
  expect(await findLies(layout, client)).toEqual([]);
  for (const vm of await client.listVms()) await client.removeVm(vm.id, { force: true });
  expect(leftovers(layout)).toEqual(NOTHING);
}

test.skipIf(noMounts !== undefined)(
  "a full disk: what needs space is resource_exhausted, what frees or ends works, and afterwards everything does",
  async () => {
    using disk = createSmallDisk(24);
    await using home = await createFaultHome(join(disk.path, "home"));
    await using daemon = await startDaemon(home);
    const { client } = daemon;
    await makeVms(client);
    await client.createVm({ name: "third", image: IMAGE });
    {
      using _full = fillDisk(disk.path);
      expect(await outcome(client.createVm({ name: "more", image: IMAGE }))).toBe("resource_exhausted");
      expect(await outcome(client.startVm("idle"))).toBe("resource_exhausted");
      expect(await client.exec(VM, { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
      expect(await outcome(client.stopVm(VM))).toBe("ok");
      expect(await outcome(client.removeVm("third", { force: true }))).toBe("ok");
      expect(await findLies(home.layout, client)).toEqual([]);
    }
    await expectRecovered(home.layout, client);
  },
);

test.skipIf(noMounts !== undefined)(
  "a daemon that starts on a full disk serves, or says why not",
  async () => {
    using disk = createSmallDisk(24);
    await using home = await createFaultHome(join(disk.path, "home"));
    {
      await using first = await startDaemon(home);
      await makeVms(first.client);
    }
    {
      using _full = fillDisk(disk.path);
      await using second = await startDaemon(home);
      if (second.greeting !== "ready") {
        const { code, cure } = JSON.parse(second.greeting) as ErrorBody;
        expect(["resource_exhausted", "unavailable"]).toContain(code);
        expect(cure).toBeString();
      }
    }
    await using third = await startDaemon(home);
    await expectRecovered(home.layout, third.client);
  },
);

test.skipIf(noMounts !== undefined)(
  "a daemon that was stopped before its disk filled starts on it, and removes a VM",
  async () => {
    using disk = createSmallDisk(24);
    await using home = await createFaultHome(join(disk.path, "home"));
    {
      await using first = await startDaemon(home);
      await makeVms(first.client);
      await first.client.stopDaemon();
      expect(await first.ended).toBe(0);
    }
    // What SQLite wants beside the database went with its last reader, and has to be made anew.
    expect(readdirSync(home.layout.stateDir)).not.toContain("state.db-wal");
    await using second = await (async () => {
      using _full = fillDisk(disk.path);
      const daemon = await startDaemon(home);
      expect(daemon.greeting).toBe("ready");
      expect(await outcome(daemon.client.removeVm(VM, { force: true }))).toBe("ok");
      return daemon;
    })();
    await expectRecovered(home.layout, second.client);
  },
);

test.skipIf(IS_ROOT && noMounts !== undefined)(
  "a state directory that cannot be written: permission_denied with a cure, records intact",
  async () => {
    await using home = await createFaultHome();
    const { layout } = home;
    {
      using _unwritable = makeUnwritable(layout.stateDir);
      await using refused = await startDaemon(home);
      const { code, cure } = JSON.parse(refused.greeting) as ErrorBody;
      expect(code).toBe("permission_denied");
      expect(cure).toBeString();
    }
    await using daemon = await startDaemon(home);
    const { client } = daemon;
    await makeVms(client);
    {
      using _unwritable = makeUnwritable(layout.vmsDir);
      expect(await outcome(client.createVm({ name: "more", image: IMAGE }))).toBe("permission_denied");
      expect(await outcome(client.startVm("idle"))).toBe("permission_denied");
      const [web, idle] = await client.listVms();
      expect(web?.state).toBe("running");
      // Clean-up of the start cannot write either.
      expect(idle).toMatchObject({ state: "error", lastError: { code: "permission_denied" } });
    }
    await client.stopVm("idle");
    await expectRecovered(layout, client);
  },
);

test("a database that another program holds: operations are refused, records intact, and then all is well", async () => {
  await using home = await createFaultHome();
  const { layout } = home;
  await using daemon = await startDaemon(home);
  const { client } = daemon;
  await makeVms(client);
  const before = await client.listVms();
  {
    await using _held = await holdDatabase(layout.database);
    const outcomes = await Promise.all([
      outcome(client.createVm({ name: "more", image: IMAGE })),
      outcome(client.stopVm(VM)),
    ]);
    expect(outcomes).toEqual(["unavailable", "unavailable"]);
    expect(await client.listVms()).toEqual(before);
    expect(readdirSync(layout.vmsDir).sort()).toEqual(before.map((vm) => vm.id).sort());
  }
  await expectRecovered(layout, client);
});

test("a daemon that starts while another program holds the database says so, or waits for it", async () => {
  await using home = await createFaultHome();
  {
    await using _held = await holdDatabase(home.layout.database);
    await using daemon = await startDaemon(home);
    if (daemon.greeting !== "ready") {
      expect(JSON.parse(daemon.greeting)).toMatchObject({ code: "failed_precondition" });
    }
  }
  await using daemon = await startDaemon(home);
  await expectRecovered(home.layout, daemon.client);
});

test.each(["start:record", "stop:record"])(
  "a database that is taken away at %s: the operation fails, the VM is shown in error, and it can be repeated once it is back",
  async (step) => {
    let armed = false;
    await using daemon = await createTestDaemon({
      onStep: (announced) => {
        if (!armed || announced !== step) return;
        armed = false;
        held.use(lockDatabase(daemon.layout.database));
      },
    });
    using held = new DisposableStack();
    const { client, layout } = daemon;
    await daemon.addImage(IMAGE);
    await client.createVm({ name: VM, image: IMAGE }, { start: step !== "start:record" });
    const act = async (): Promise<unknown> =>
      await (step === "start:record" ? client.startVm(VM) : client.stopVm(VM));
    armed = true;
    await refusal(act(), "unavailable");
    // Nobody is told that it still starts or stops.
    const shown = await client.showVm(VM);
    expect(shown).toMatchObject({ state: "error", lastError: { code: "internal" } });
    expect((await client.listVms()).map(({ state }) => state)).toEqual(["error"]);
    held.dispose();
    await act();
    expect(await findLies(layout, client)).toEqual([]);
  },
);

test.each([
  ["backwards", -1],
  ["forwards", 1],
])("a clock that jumps a year %s disturbs nothing, and the records hold what it said", async (_, sign) => {
  let offsetMs = 0;
  await using daemon = await createTestDaemon({ now: () => Date.now() + offsetMs });
  const { client, layout } = daemon;
  await daemon.addImage(IMAGE);
  const first = await client.createVm({ name: VM, image: IMAGE });
  offsetMs = sign * 365 * 24 * 3600 * 1000;
  expect(await client.exec(VM, { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
  const second = await client.createVm({ name: "second", image: IMAGE });
  expect(Math.sign(second.createdAt - first.createdAt)).toBe(sign);
  const stopped = await client.stopVm(VM);
  expect(stopped.stoppedAt).toBeDefined();
  const again = await client.startVm(VM);
  for (const { ms } of again.startSteps) expect(ms).toBeWithin(0, 60_000);
  expect(await findLies(layout, client)).toEqual([]);
});
