/** The n-th call fails: a capability throws in one of its hooks. All others are cleaned up, the record says why, and the next start or rm repairs it. */
import { expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { killToTheEnd } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";
import { IMAGE, VM } from "./operation.ts";
import { type Hook, Saboteur } from "./saboteur.ts";
import { findLies, leftovers, NOTHING } from "./truth.ts";

interface Sabotage extends AsyncDisposable {
  readonly daemon: TestDaemon;
  readonly alpha: Saboteur;
  /** The last capability: cleaned up first. */
  readonly omega: Saboteur;
}

/** A daemon with two saboteurs and the VM, stopped or running. */
async function sabotage(options: { readonly start: boolean }): Promise<Sabotage> {
  const [alpha, omega] = [new Saboteur("alpha"), new Saboteur("omega")];
  const daemon = await createTestDaemon({ capabilities: [alpha.capability, omega.capability] });
  await daemon.addImage(IMAGE);
  await daemon.client.createVm({ name: VM, image: IMAGE }, { start: options.start });
  return { daemon, alpha, omega, [Symbol.asyncDispose]: async () => await daemon[Symbol.asyncDispose]() };
}

/** The VM runs and can be used, and everything agrees. */
async function expectStartable({ client, layout }: TestDaemon): Promise<void> {
  const vm = await client.startVm(VM);
  expect([vm.state, vm.lastError]).toEqual(["running", undefined]);
  expect(await findLies(layout, client)).toEqual([]);
}

test.each(["preflight", "prepare", "contribute"] as const)(
  "a start whose capability throws in %s fails with its words, cleans up all, and works the next time",
  async (hook: Hook) => {
    await using sabotaged = await sabotage({ start: false });
    const { daemon, alpha, omega } = sabotaged;
    alpha.fail(hook);
    const error = await refusal(daemon.client.startVm(VM), "unavailable");
    expect(error.message).toContain(`alpha was told to fail in ${hook}`);
    const vm = await daemon.client.showVm(VM);
    expect([vm.state, vm.lastError?.message]).toEqual(["stopped", error.message]);
    expect(await findLies(daemon.layout, daemon.client)).toEqual([]);
    // Nothing had been touched at preflight; from then on everybody has a turn, also who was never asked to prepare.
    const cleanups = [alpha, omega].map(({ calls }) => calls.filter((call) => call === "cleanup").length);
    expect(cleanups).toEqual(hook === "preflight" ? [0, 0] : [1, 1]);
    await expectStartable(daemon);
  },
);

interface Trouble {
  readonly how: string;
  /** Whether the VM runs before. */
  readonly running: boolean;
  readonly meet: (sabotaged: Sabotage) => Promise<unknown>;
}

const TROUBLES: readonly Trouble[] = [
  {
    how: "a stop",
    running: true,
    meet: async ({ daemon }) => await refusal(daemon.client.stopVm(VM), "internal"),
  },
  {
    how: "a kill",
    running: true,
    meet: async ({ daemon }) => await refusal(daemon.client.killVm(VM), "internal"),
  },
  {
    how: "a restart",
    running: true,
    meet: async ({ daemon }) => await refusal(daemon.client.restartVm(VM), "internal"),
  },
  {
    how: "an rm -f",
    running: true,
    meet: async ({ daemon }) => await refusal(daemon.client.removeVm(VM, { force: true }), "internal"),
  },
  {
    how: "the end of its hypervisor",
    running: true,
    meet: async ({ daemon }) => {
      process.kill((await daemon.client.showVm(VM)).pid ?? 0, "SIGKILL");
      await daemon.client.waitVm(VM);
    },
  },
  {
    how: "a start that fails",
    running: false,
    meet: async ({ daemon, alpha }) => {
      alpha.fail("contribute");
      const error = await refusal(daemon.client.startVm(VM), "unavailable");
      expect(error.message).toContain("alpha was told to fail in contribute; and then");
    },
  },
];

const REPAIRS: readonly (readonly [string, (daemon: TestDaemon) => Promise<unknown>])[] = [
  ["start", async (daemon) => await expectStartable(daemon)],
  ["restart", async ({ client }) => await client.restartVm(VM)],
  ["stop", async ({ client }) => await client.stopVm(VM)],
  ["rm", async ({ client }) => await client.removeVm(VM)],
];

test.each(
  TROUBLES.flatMap((trouble) =>
    REPAIRS.map(([name, repair]) => [trouble.how, name, trouble, repair] as const),
  ),
)(
  "clean-up that fails at %s leaves the VM in error with all causes, and %s repairs it",
  async (_, __, { running, meet }, repair) => {
    await using sabotaged = await sabotage({ start: running });
    const { daemon, alpha, omega } = sabotaged;
    alpha.fail("cleanup");
    omega.fail("cleanup");
    await meet(sabotaged);
    await expectError(daemon);
    await repair(daemon);
    expect(await findLies(daemon.layout, daemon.client)).toEqual([]);
  },
);

/** In error for both saboteurs, and all that could be cleaned up is. */
async function expectError({ client, layout }: TestDaemon): Promise<void> {
  const vm = await client.showVm(VM);
  expect(vm.state).toBe("error");
  for (const name of ["alpha", "omega"])
    expect(vm.lastError?.message).toContain(`${name}: ${name} was told to fail in cleanup`);
  // The runtime directory belongs to a capability between the two: it had its turn.
  expect(leftovers(layout)).toEqual({ ...NOTHING, directories: [vm.id] });
}

test("clean-up succeeds with no handles at all, and may be repeated", async () => {
  await using sabotaged = await sabotage({ start: true });
  const { daemon, alpha, omega } = sabotaged;
  const { client, layout } = daemon;
  for (const attempt of [1, 2]) {
    alpha.fail("cleanup");
    omega.fail("cleanup");
    const error = await refusal(client.stopVm(VM), "internal");
    expect(error.message, `attempt ${attempt}`).toContain("alpha");
    await expectError(daemon);
    rmSync(layout.handles((await client.showVm(VM)).id), { force: true });
  }
  expect(await client.stopVm(VM)).toMatchObject({ state: "stopped" });
  await expectStartable(daemon);
});

test("rm of a stopped VM whose clean-up fails leaves the VM usable, and works the next time", async () => {
  await using sabotaged = await sabotage({ start: false });
  const { daemon, alpha } = sabotaged;
  alpha.fail("cleanup");
  await refusal(daemon.client.removeVm(VM), "internal");
  await expectStartable(daemon);
  await daemon.client.removeVm(VM, { force: true });
  expect(leftovers(daemon.layout)).toEqual(NOTHING);
});

test("set whose capability throws keeps what it was asked for, and the next start brings it", async () => {
  await using sabotaged = await sabotage({ start: true });
  const { daemon, alpha } = sabotaged;
  const { diskMib } = (await daemon.client.showVm(VM)).spec;
  alpha.fail("changed");
  await refusal(daemon.client.setVm(VM, { diskMib: diskMib + 64 }), "unavailable");
  expect(await daemon.client.showVm(VM)).toMatchObject({ state: "running", pending: ["diskMib"] });
  expect(await daemon.client.restartVm(VM)).toMatchObject({ pending: [], spec: { diskMib: diskMib + 64 } });
});

test("a daemon that starts: clean-up that fails is no reason to serve nobody", async () => {
  const { daemon: first } = await sabotage({ start: true });
  const { client } = first;
  const stuck = await client.createVm({ name: "stuck", image: IMAGE });
  const temporary = client.run({ vm: { image: IMAGE }, exec: { argv: ["cat"] }, remove: true });
  await temporary.started;
  await first.crash();
  await killToTheEnd(stuck.pid);
  // A directory without a row.
  mkdirSync(first.layout.vmDir("0123456789ab"));
  const alpha = new Saboteur("alpha");
  alpha.fail("cleanup", 3);
  {
    await using second = await createTestDaemon({ home: first.home, capabilities: [alpha.capability] });
    const vms = await second.client.listVms();
    const states = vms.map((vm) => `${vm.ephemeral ? "temporary" : vm.name} ${vm.state}`);
    expect(new Set(states)).toEqual(new Set(["web running", "stuck error", "temporary error"]));
    expect(vms.find((vm) => vm.name === "stuck")?.lastError?.message).toContain("alpha was told to fail");
    expect(await second.client.startVm("stuck")).toMatchObject({ state: "running" });
    await second.crash();
  }
  await using third = await createTestDaemon({ home: first.home });
  expect(await findLies(third.layout, third.client)).toEqual([]);
  expect(await third.client.listVms()).toHaveLength(2);
});

test("the cause of an error survives a restart of the daemon that repairs it", async () => {
  const sabotaged = await sabotage({ start: true });
  const { daemon, alpha } = sabotaged;
  alpha.fail("cleanup");
  await refusal(daemon.client.stopVm(VM), "internal");
  await daemon.crash();
  await using next = await createTestDaemon({ home: daemon.home });
  const { state, lastError } = await next.client.showVm(VM);
  expect(state).toBe("stopped");
  expect(lastError?.message).toContain("alpha was told to fail in cleanup");
});
