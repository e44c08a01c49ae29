/** A few VMs, and beside them what a small pure model says that they are. Each deed is done to both, and they are compared. */
import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { identifyProcess } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";
import { OPERATIONS, type Operation, TABLE } from "../../src/model/state-machine.ts";
import { BangerError, type Client } from "../../src/sdk/index.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";
import { LifeOfSnapshots, SAVING_DEEDS, type SavingDeed } from "./life-of-snapshots.ts";
import { type Found, IMAGE } from "./operation.ts";
import { findLies } from "./truth.ts";

export const NAMES = ["ada", "bob", "cyd"] as const;

/** `daemon`: it dies and another starts. `hypervisor`: that of one VM dies. `unseen`: it dies while no daemon is there. `reboot`: all die. */
export const CRASHES = ["daemon", "hypervisor", "unseen", "reboot"] as const;

type Event = "create" | (typeof CRASHES)[number];

/** What leads from one state to another; snapshots have a model of their own. */
export type LifeOperation = Exclude<Operation, "snapshot" | "restore" | "fork">;

export const LIFE_OPERATIONS: readonly LifeOperation[] = OPERATIONS.filter(
  (one): one is LifeOperation => one !== "snapshot" && one !== "restore" && one !== "fork",
);

export interface Deed {
  readonly deed: LifeOperation | SavingDeed | Event;
  readonly name: (typeof NAMES)[number];
}

/** Where an operation that goes ahead leads. */
const LEADS_TO: Readonly<Record<LifeOperation, (from: Found) => Found>> = {
  start: () => "running",
  stop: () => "stopped",
  restart: () => "running",
  kill: () => "stopped",
  pause: () => "paused",
  resume: () => "running",
  set: (from) => from,
  exec: (from) => from,
  remove: () => "absent",
  forceRemove: () => "absent",
};

const CALLS: Readonly<Record<LifeOperation, (client: Client, name: string) => Promise<unknown>>> = {
  start: (client, name) => client.startVm(name),
  stop: (client, name) => client.stopVm(name),
  restart: (client, name) => client.restartVm(name),
  kill: (client, name) => client.killVm(name),
  pause: (client, name) => client.pauseVm(name),
  resume: (client, name) => client.resumeVm(name),
  set: (client, name) => client.setVm(name, { vcpus: 3 }),
  exec: (client, name) => client.exec(name, { argv: ["true"] }).exit,
  remove: (client, name) => client.removeVm(name),
  forceRemove: (client, name) => client.removeVm(name, { force: true }),
};

export class LifeOfVms implements AsyncDisposable {
  #daemon: TestDaemon;
  readonly #model = new Map<string, Found>(NAMES.map((name) => [name, "absent"]));

  readonly #snapshots = new LifeOfSnapshots({
    stateOf: (name) => this.#model.get(name) ?? "absent",
    setState: (name, state) => void this.#model.set(name, state),
  });

  readonly #events: Readonly<Record<Event, (name: string) => Promise<void>>> = {
    create: async (name) => await this.#create(name),
    daemon: async () => await this.#replaceDaemon([]),
    hypervisor: async (name) => await this.#killHypervisor(name),
    unseen: async (name) => await this.#replaceDaemon([name]),
    reboot: async () => await this.#replaceDaemon(NAMES),
  };

  private constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  static async create(): Promise<LifeOfVms> {
    const daemon = await createTestDaemon();
    await daemon.addImage(IMAGE);
    return new LifeOfVms(daemon);
  }

  /** Does one deed, and compares all VMs with the model. */
  async live({ deed, name }: Deed): Promise<void> {
    if (isOperation(deed)) await this.#operate(deed, name);
    else if (isSaving(deed)) await this.#snapshots.live(deed, name, this.#client);
    else await this.#events[deed](name);
    const found: Record<string, string> = Object.fromEntries(
      (await this.#client.listVms()).map((vm) => [vm.name, vm.state]),
    );
    const expected = [...this.#model].filter(([, state]) => state !== "absent");
    expect(found, `after ${deed} ${name}`).toEqual(Object.fromEntries(expected));
  }

  async findLies(): Promise<string[]> {
    return await findLies(this.#daemon.layout, this.#client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }

  get #client(): Client {
    return this.#daemon.client;
  }

  async #create(name: string): Promise<void> {
    const work = this.#client.createVm({ name, image: IMAGE, diskMib: 64 }, { start: false });
    const taken = this.#model.get(name) !== "absent";
    expect(await outcome(work), `create ${name}`).toBe(taken ? "already_exists" : "ok");
    if (!taken) this.#model.set(name, "stopped");
  }

  async #operate(operation: LifeOperation, name: string): Promise<void> {
    const from = this.#model.get(name) ?? "absent";
    const said = await outcome(CALLS[operation](this.#client, name));
    const verdict = from === "absent" ? "absent" : TABLE[operation][from];
    const refused = verdict === "absent" ? "not_found" : "failed_precondition";
    const goes = verdict === "go" || verdict === "done";
    expect(said, `${operation} ${name}, which is ${from}`).toBe(goes ? "ok" : refused);
    if (verdict === "go") this.#model.set(name, LEADS_TO[operation](from));
  }

  async #killHypervisor(name: string): Promise<void> {
    const id = this.#daemon.store.vms.byName(name)?.id;
    const live = id === undefined ? undefined : this.#daemon.vms.live(id);
    if (live === undefined) return;
    process.kill(live.running.handles.process.pid, "SIGKILL");
    await live.running.exited;
    // Waits for the lock, and so for the burial.
    await this.#client.setVm(name, {});
    this.#model.set(name, "stopped");
  }

  /** The daemon dies, then the hypervisors of `victims`, and another daemon starts. When all die, so does what lived in memory. */
  async #replaceDaemon(victims: readonly string[]): Promise<void> {
    const live = (await this.#client.listVms()).filter(
      (vm) => victims.includes(vm.name) && vm.pid !== undefined,
    );
    const { home, layout } = this.#daemon;
    await this.#daemon.crash();
    for (const { name, pid = 0 } of live) {
      await endProcess(pid);
      this.#model.set(name, "stopped");
    }
    if (victims === NAMES) rmSync(layout.runtimeDir, { recursive: true });
    this.#daemon = await createTestDaemon({ home });
  }
}

function isOperation(deed: Deed["deed"]): deed is LifeOperation {
  return deed in CALLS;
}

function isSaving(deed: Deed["deed"]): deed is SavingDeed {
  return (SAVING_DEEDS as readonly string[]).includes(deed);
}

async function endProcess(pid: number): Promise<void> {
  const handle = identifyProcess(pid);
  const watch = handle && (await watchProcess(handle));
  if (watch?.signal("SIGKILL") === true) await watch.ended;
}

async function outcome(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "ok",
    (error: unknown) => BangerError.from(error).code,
  );
}
