/** The hypervisor is killed (SIGKILL) at every step of every operation, and in the middle of commands: clear errors, true records, nothing left. */
import { expect, test } from "bun:test";
import { findByCommandLine, type ProcessHandle } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { BangerError } from "../../src/sdk/index.ts";
import { processMarker } from "../../src/vmm/port.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "../support/test-daemon.ts";
import { eachAtOnce } from "./each-at-once.ts";
import { type FaultOperation, IMAGE, VM } from "./operation.ts";
import { FAULT_OPERATIONS } from "./operations.ts";
import { Saboteur } from "./saboteur.ts";
import { findLies } from "./truth.ts";

/** The suite was blind if it killed fewer. */
const LEAST_KILLS = 35;

const killed: ProcessHandle[] = [];

/** A machine that a template is made of belongs to no VM; its end has tests of its own (template-flow). */
const OPERATIONS = FAULT_OPERATIONS.filter(({ templates = false }) => !templates);

test.each(OPERATIONS.map((operation) => [operation.title, operation] as const))(
  "%s: its hypervisor killed at each of its steps, it ends clearly and the VM can be started again",
  async (_, operation) => {
    const count = await countSteps(operation);
    await eachAtOnce([...Array(count).keys()], 2, async (at) => await tryKill(operation, at));
  },
);

test.each([
  ["asked for", (): Promise<void> => Promise.resolve()],
  ["started", (_: Promise<void>, started: Promise<void>): Promise<void> => started],
  ["giving output", (output: Promise<void>): Promise<void> => output],
] as const)("an exec whose hypervisor is killed when it is %s says so", async (_, moment) => {
  await using daemon = await createTestDaemon();
  await daemon.addImage(IMAGE);
  await daemon.client.createVm({ name: VM, image: IMAGE });
  const output = Promise.withResolvers<void>();
  const command = daemon.client.exec(
    VM,
    { argv: ["sh", "-c", "echo said; exec cat"] },
    { onStdout: () => output.resolve() },
  );
  await moment(output.promise, command.started);
  killHypervisors(daemon);
  const error = await refusal(command.exit);
  expect(["unavailable", "failed_precondition"]).toContain(error.code);
  await expectStartable(daemon);
});

test(`no fewer than ${LEAST_KILLS} hypervisors were killed`, () => {
  console.log(`fault suite: the hypervisor was killed at ${killed.length} points`);
  expect(killed.length).toBeGreaterThanOrEqual(LEAST_KILLS);
});

async function countSteps(operation: FaultOperation): Promise<number> {
  let steps = 0;
  await using daemon = await createTestDaemon({ ...faults(operation), onStep: () => (steps += 1) });
  await daemon.addImage(IMAGE);
  await operation.prepare(daemon.client);
  steps = 0;
  await operation.act(daemon.client);
  return steps;
}

/** Kills what runs at the operation's step `at`, counted from 0. */
async function tryKill(operation: FaultOperation, at: number): Promise<void> {
  let step = Number.NEGATIVE_INFINITY;
  await using daemon: TestDaemon = await createTestDaemon({
    ...faults(operation),
    onStep: () => {
      if (step === at) killHypervisors(daemon);
      step += 1;
    },
  });
  await daemon.addImage(IMAGE);
  await operation.prepare(daemon.client);
  step = 0;
  const error = await operation.act(daemon.client).then(
    () => undefined,
    (thrown: unknown) => BangerError.from(thrown),
  );
  // Nobody's mistake and not ours: the hypervisor failed. Whoever comes when that is known is told that the VM is stopped.
  if (error !== undefined && !/^cannot .+ web: it is stopped$/.test(error.message))
    expect(error.code, error.message).toBe("unavailable");
  await expectStartable(daemon);
}

function faults({ failCleanups = 0 }: FaultOperation): TestDaemonOptions {
  const saboteur = new Saboteur("saboteur");
  saboteur.fail("cleanup", failCleanups);
  return { capabilities: [saboteur.capability] };
}

function killHypervisors({ store }: TestDaemon): void {
  const vm = store.vms.byName(VM);
  if (vm === undefined) return;
  for (const handle of findByCommandLine(processMarker(vm.id))) {
    process.kill(handle.pid, "SIGKILL");
    killed.push(handle);
  }
}

/** Once the daemon has taken note of the end, all agrees, and the VM, if there is one, can be started and used. */
async function expectStartable(daemon: TestDaemon): Promise<void> {
  const { client, layout, store, vms } = daemon;
  const id = store.vms.byName(VM)?.id;
  if (id !== undefined) {
    // A signal arrives in its own time.
    for (const handle of killed) await (await watchProcess(handle))?.ended;
    const live = vms.live(id)?.running;
    if (live !== undefined && findByCommandLine(processMarker(id)).length === 0) await live.exited;
    // Waits for the lock, and so for the burial.
    await client.setVm(VM, {});
  }
  expect(await findLies(layout, client)).toEqual([]);
  if (id === undefined) return;
  if ((await client.showVm(VM)).state === "paused") await client.resumeVm(VM);
  const { state, lastError } = await client.startVm(VM);
  expect([state, lastError]).toEqual(["running", undefined]);
  expect(await findLies(layout, client)).toEqual([]);
}
