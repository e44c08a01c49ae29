/** Snapshots and forks of the VMs of a random life, and beside them what a small model says of them. */
import { expect } from "bun:test";
import { TABLE } from "../../src/model/state-machine.ts";
import { BangerError, type Client } from "../../src/sdk/index.ts";
import type { Found } from "./operation.ts";

/** A snapshot is called as its VM. `twin`: a VM of that name is made from the snapshot of that name. `fork`: the child is removed at once. */
export const SAVING_DEEDS = ["save", "saveDisk", "rewind", "fork", "twin", "forget"] as const;
export type SavingDeed = (typeof SAVING_DEEDS)[number];

/** The model of the VMs. */
export interface ModelOfVms {
  stateOf(name: string): Found;
  setState(name: string, state: Found): void;
}

interface ModelOfSnapshot {
  readonly kind: "machine" | "disk";
  /** The id of its VM, which may be gone. */
  readonly owner: string;
}

/** What a client is to hear, and what is so afterwards if that is `ok`. */
interface Prediction {
  readonly says: string;
  readonly afterwards?: () => void;
}

const CALLS: Readonly<Record<SavingDeed, (client: Client, name: string) => Promise<unknown>>> = {
  save: (client, name) => client.createSnapshot(name, { name }),
  saveDisk: (client, name) => client.createSnapshot(name, { name, diskOnly: true }),
  rewind: (client, name) => client.restoreVm(name, name),
  fork: async (client, name) => {
    const { vms } = await client.forkVm(name, { prefix: "child" });
    for (const { id } of vms) await client.removeVm(id, { force: true });
  },
  twin: (client, name) => client.createVm({ name, snapshot: name }),
  forget: (client, name) => client.removeSnapshot(name),
};

export class LifeOfSnapshots {
  readonly #vms: ModelOfVms;
  readonly #snapshots = new Map<string, ModelOfSnapshot>();
  /** Ids of VMs that ran once: they have a disk. */
  readonly #haveDisk = new Set<string>();

  constructor(vms: ModelOfVms) {
    this.#vms = vms;
  }

  /** Does one deed, and compares what the client hears, and all snapshots, with the model. */
  async live(deed: SavingDeed, name: string, client: Client): Promise<void> {
    const id = await this.#look(name, client);
    const { says, afterwards } = this.#predict(deed, name, id);
    const said = await CALLS[deed](client, name).then(
      () => "ok",
      (error: unknown) => BangerError.from(error).code,
    );
    expect(said, `${deed} ${name}, which is ${this.#vms.stateOf(name)}`).toBe(says);
    afterwards?.();
    const found = new Map(
      (await client.listSnapshots()).map((one) => [one.name, { kind: one.kind, owner: one.vm }]),
    );
    expect(found, `snapshots after ${deed} ${name}`).toEqual(this.#snapshots);
  }

  /** The id of a VM, and whether it ever started. */
  async #look(name: string, client: Client): Promise<string> {
    const vm = (await client.listVms()).find((one) => one.name === name);
    if (vm?.startedAt !== undefined) this.#haveDisk.add(vm.id);
    return vm?.id ?? "";
  }

  #predict(deed: SavingDeed, name: string, id: string): Prediction {
    const state = this.#vms.stateOf(name);
    const snapshot = this.#snapshots.get(name);
    const isUp = state === "running" || state === "paused";
    switch (deed) {
      case "save":
      case "saveDisk": {
        if (state === "absent") return { says: "not_found" };
        if (snapshot !== undefined) return { says: "already_exists" };
        if (TABLE.snapshot[state] !== "go" || !this.#haveDisk.has(id)) return { says: "failed_precondition" };
        const kind = deed === "save" && isUp ? "machine" : "disk";
        return { says: "ok", afterwards: () => this.#snapshots.set(name, { kind, owner: id }) };
      }
      case "rewind": {
        if (snapshot === undefined || state === "absent") return { says: "not_found" };
        if (snapshot.owner !== id) return { says: "invalid_argument" };
        const goes = snapshot.kind === "machine" || isUp;
        return { says: "ok", afterwards: () => this.#vms.setState(name, goes ? "running" : "stopped") };
      }
      case "fork":
        if (state === "absent") return { says: "not_found" };
        return { says: TABLE.fork[state] === "go" ? "ok" : "failed_precondition" };
      case "twin":
        if (snapshot === undefined) return { says: "not_found" };
        if (state !== "absent") return { says: "already_exists" };
        return { says: "ok", afterwards: () => this.#vms.setState(name, "running") };
      case "forget":
        if (snapshot === undefined) return { says: "not_found" };
        return { says: "ok", afterwards: () => this.#snapshots.delete(name) };
    }
  }
}
