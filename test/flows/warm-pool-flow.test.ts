/** The warm pool through the real client and the real server, with the fake hypervisor and the real agent in rehearsal. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { createLog } from "../../src/daemon/log.ts";
import type { CapabilityContext } from "../../src/model/capability.ts";
import { Client } from "../../src/sdk/client.ts";
import { BangerError, type CreateVm, type Vm } from "../../src/sdk/index.ts";
import { FIRST_MS, STEADY_MS } from "../../src/vms/back-off.ts";
import { findLies } from "../fault/truth.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { parrot, serveTcp, type TestServer, talk } from "../support/sockets.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "../support/test-daemon.ts";

const SIZES = '[vm_defaults]\nvcpus = 1\nmemory = "128M"\ndisk = "64M"\n';
const TOML = `${SIZES}[warm_pool]\nimg = 2\n`;
const WISH: CreateVm = { image: "img" };

/** With a template and two clones of it. */
async function createPooledDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await createTestDaemon({ templates: true, toml: TOML, ...options });
  if (options.home !== undefined) return daemon;
  await daemon.addImage("img");
  const vm = await daemon.client.createVm(WISH);
  await daemon.templates.settled();
  await daemon.vms.pool.settled();
  await daemon.client.removeVm(vm.id, { force: true });
  expect(await pooled(daemon)).toBe(2);
  return daemon;
}

const stepsOf = (vm: Vm): string[] => vm.startSteps.map(({ name }) => name);
const pooled = async ({ client }: TestDaemon): Promise<number> =>
  (await client.listTemplates()).reduce((sum, { pooled }) => sum + pooled, 0);
const works = async ({ client }: TestDaemon, vm: string): Promise<boolean> =>
  (await client.exec(vm, { argv: ["true"] }).exit)?.exitCode === 0;

test("a VM of the default size takes a clone, is itself and nobody else, and another clone takes its place", async () => {
  await using daemon = await createPooledDaemon();
  const { client, layout } = daemon;
  const vms = await Promise.all(
    ["one", "two"].map((name) => client.createVm({ ...WISH, name, env: { A: name } })),
  );
  for (const vm of vms) {
    expect(stepsOf(vm)).toContain("take");
    expect(stepsOf(vm)).not.toContain("resume");
    expect([vm.state, vm.ephemeral]).toEqual(["running", false]);
    let said = "";
    const onStdout = (bytes: Uint8Array): void => void (said += Buffer.from(bytes).toString());
    await client.exec(vm.id, { argv: ["sh", "-c", "echo $A"] }, { onStdout }).exit;
    expect(said).toBe(`${vm.name}\n`);
  }
  expect(new Set(vms.flatMap(({ address, bootId, pid }) => [address, bootId, pid])).size).toBe(6);
  await daemon.vms.pool.settled();
  expect(await pooled(daemon)).toBe(2);
  expect(hypervisorsOf(daemon.home)).toHaveLength(4);
  expect(readdirSync(layout.vmsDir)).toHaveLength(4);
  const [one] = vms;
  await client.stopVm("one");
  expect(stepsOf(await client.startVm("one"))).toContain("configure");
  expect((await client.showVm("one")).address).toBe(one?.address ?? "");
});

test("who takes a clone has its published ports; a port that is taken meanwhile ends the start and the clone", async () => {
  let thief: TestServer | undefined;
  const preflight = async ({ vm }: CapabilityContext): Promise<void> => {
    if (vm.name === "late") thief = await serveTcp(() => undefined, vm.spec.ports?.[0]?.hostPort);
  };
  await using daemon = await createPooledDaemon({ capabilities: [{ name: "thief", preflight }] });
  const { client } = daemon;
  await using server = await serveTcp(parrot);
  const port = { address: "127.0.0.1", hostPort: 0, guestPort: server.port, protocol: "tcp" } as const;
  const vm = await client.createVm({ ...WISH, name: "web", ports: [port] });
  expect(stepsOf(vm)).toContain("take");
  expect((await talk(vm.spec.ports?.[0]?.hostPort ?? 0, "warm")).toString()).toBe("warm!");
  await refusal(client.createVm({ ...WISH, name: "late", ports: [port] }), "already_exists");
  await thief?.[Symbol.asyncDispose]();
  expect(stepsOf(await client.showVm("late"))).not.toContain("take");
  expect((await client.showVm("late")).state).toBe("stopped");
  await client.removeVm("late");
  await daemon.vms.pool.settled();
  expect(hypervisorsOf(daemon.home).length).toBe(1 + (await pooled(daemon)));
});

test("run --rm takes one, and leaves nothing", async () => {
  await using daemon = await createPooledDaemon();
  const stages: string[] = [];
  const exit = await daemon.client.run(
    { vm: WISH, exec: { argv: ["true"] }, remove: true },
    { onProgress: (line) => void (line.event === "begin" && stages.push(line.stage)) },
  ).exit;
  expect(exit?.exitCode).toBe(0);
  expect(stages).toContain("take");
  await daemon.vms.pool.settled();
  expect(hypervisorsOf(daemon.home)).toHaveLength(2);
  expect(readdirSync(daemon.layout.vmsDir)).toHaveLength(2);
});

test("a larger disk grows; another size, --cold and a start that comes later do without", async () => {
  await using daemon = await createPooledDaemon();
  const { client } = daemon;
  const larger = await client.createVm({ ...WISH, diskMib: 96 });
  expect(stepsOf(larger)).toEqual(expect.arrayContaining(["take", "grow"]));
  expect(Bun.file(daemon.layout.disk(larger.id)).size).toBe(96 * 2 ** 20);
  await daemon.vms.pool.settled();
  const others = [
    await client.createVm({ ...WISH, memoryMib: 256 }),
    await client.createVm({ ...WISH, vcpus: 2 }),
    await client.createVm(WISH, { cold: true }),
    await client.startVm((await client.createVm(WISH, { start: false })).id),
  ];
  for (const vm of others) expect(stepsOf(vm)).not.toContain("take");
  await daemon.templates.settled();
  await daemon.vms.pool.settled();
  expect(await pooled(daemon)).toBe(2);
});

test("a VM that cannot be made gives its clone back", async () => {
  let isFull = false;
  await using daemon = await createPooledDaemon({
    onStep: (step) => {
      if (isFull && step === "create:directory")
        throw new BangerError("resource_exhausted", "the disk is full");
    },
  });
  const { client } = daemon;
  isFull = true;
  await refusal(client.createVm({ ...WISH, name: "one" }), "resource_exhausted");
  isFull = false;
  await daemon.vms.pool.settled();
  expect(hypervisorsOf(daemon.home)).toHaveLength(await pooled(daemon));
  await client.createVm({ ...WISH, name: "one" });
  await daemon.vms.pool.settled();
  await refusal(client.createVm({ ...WISH, name: "one" }), "already_exists");
  expect(await pooled(daemon)).toBe(2);
  expect(await findVms(daemon)).toEqual(["one"]);
});

test("a clone that has died is replaced, and one that dies when it is taken costs its VM nothing but time", async () => {
  const [clock, diary] = [new ManualClock(), new Diary()];
  let victims: readonly number[] = [];
  await using daemon: TestDaemon = await createPooledDaemon({
    idleClock: clock,
    log: diary.log,
    onStep: (step) => {
      if (step !== "create:reserve") return;
      for (const pid of victims) process.kill(pid, "SIGKILL");
      victims = [];
    },
  });
  const { client } = daemon;
  const [first, second] = hypervisorsOf(daemon.home);
  const vm = await client.createVm(WISH);
  expect([first, second]).toContain(vm.pid ?? 0);
  await daemon.vms.pool.settled();
  // The one that is taken, and the one that still waits.
  victims = hypervisorsOf(daemon.home).filter((pid) => pid !== vm.pid);
  expect(victims).toHaveLength(2);
  const unlucky = await client.createVm(WISH);
  expect([unlucky.state, await works(daemon, unlucky.id)]).toEqual(["running", true]);
  await diary.said("died while it waited");
  clock.advance(FIRST_MS);
  await daemon.vms.pool.settled();
  expect(await pooled(daemon)).toBe(2);
  expect(hypervisorsOf(daemon.home)).toHaveLength(4);
});

test("a pool whose clones die at once makes others ever later, and says so, until they live", async () => {
  const [clock, diary] = [new ManualClock(), new Diary()];
  let home = "";
  let [made, dying] = [0, false];
  await using daemon = await createTestDaemon({
    templates: true,
    toml: `${SIZES}[warm_pool]\nimg = 1\n`,
    idleClock: clock,
    log: diary.log,
    onStep: (step) => {
      if (step !== "pool:ready") return;
      made += 1;
      // Without end there would be no end of this test.
      if (dying && made < 20) for (const pid of hypervisorsOf(home)) process.kill(pid, "SIGKILL");
    },
  });
  const { pool } = daemon.vms;
  ({ home } = daemon);
  await daemon.addImage("img");
  pool.refill();
  await pool.settled();
  await daemon.templates.settled();
  await pool.settled();
  expect([made, await pooled(daemon)]).toEqual([1, 1]);
  dying = true;
  for (const pid of hypervisorsOf(home)) process.kill(pid, "SIGKILL");
  for (const [round, waitMs] of [FIRST_MS, 2 * FIRST_MS, 4 * FIRST_MS].entries()) {
    await diary.said(`"failures":${round + 1},"waitMs":${waitMs},"msg":"a clone of the warm pool died`);
    // Whoever asks meanwhile changes nothing.
    clock.advance(waitMs - 1);
    pool.refill();
    await pool.settled();
    expect(made).toBe(round + 1);
    dying = round < 2;
    clock.advance(1);
    await pool.settled();
  }
  expect([made, await pooled(daemon)]).toEqual([4, 1]);
  clock.advance(STEADY_MS);
  await diary.said("the warm pool holds again");
});

test("removing its template ends the clones, and so does the end of the daemon", async () => {
  await using daemon = await createPooledDaemon();
  const { client, home, layout } = daemon;
  expect(hypervisorsOf(home)).toHaveLength(2);
  expect(await client.pruneTemplates()).toBe(1);
  expect(hypervisorsOf(home)).toEqual([]);
  expect(readdirSync(layout.vmsDir)).toEqual([]);
  const vm = await client.createVm(WISH);
  await daemon.templates.settled();
  await daemon.vms.pool.settled();
  expect(hypervisorsOf(home)).toHaveLength(3);
  await daemon.crash();
  expect(hypervisorsOf(home)).toEqual([vm.pid ?? 0]);
  await using next = await createPooledDaemon({ home, toml: SIZES });
  expect(await findLies(layout, await Client.create(next.layout.socket))).toEqual([]);
});

test("clones give way to VMs that find no address", async () => {
  await using daemon = await createPooledDaemon({
    toml: `${TOML}[network]\naddress_pool = "10.9.0.0/29"\n`,
  });
  const { client } = daemon;
  // Five addresses: two are the clones'.
  for (const name of ["a", "b", "c", "d", "e"]) {
    await client.createVm({ image: "img", name, memoryMib: 256 }, { start: false });
  }
  expect(await pooled(daemon)).toBe(0);
  await refusal(client.createVm({ image: "img", name: "f" }), "resource_exhausted");
});

test("without a template one is made for it, and where nothing is configured there is no pool", async () => {
  await using daemon = await createTestDaemon({ templates: true, toml: TOML });
  await daemon.addImage("img");
  daemon.vms.pool.refill();
  await daemon.vms.pool.settled();
  await daemon.templates.settled();
  await daemon.vms.pool.settled();
  expect([await pooled(daemon), hypervisorsOf(daemon.home).length]).toEqual([2, 2]);
  await using plain = await createTestDaemon({ templates: true, toml: SIZES });
  await plain.addImage("img");
  await plain.client.createVm(WISH);
  await plain.templates.settled();
  await plain.vms.pool.settled();
  expect(hypervisorsOf(plain.home)).toHaveLength(1);
});

/** What the daemon logs, and a wait for it. */
class Diary {
  readonly log = createLog("info", (line) => this.#hear(line));
  readonly #lines: string[] = [];
  #heard = Promise.withResolvers<void>();

  /** Resolves when a line holds `words`. */
  async said(words: string): Promise<void> {
    while (!this.#lines.some((line) => line.includes(words))) await this.#heard.promise;
  }

  #hear(line: string): void {
    this.#lines.push(line);
    this.#heard.resolve();
    this.#heard = Promise.withResolvers();
  }
}

async function findVms({ client }: TestDaemon): Promise<string[]> {
  return (await client.listVms()).map(({ name }) => name);
}
