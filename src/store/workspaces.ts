/** Workspaces in the database: at most one a VM, gone with it. Every write is durable when the call returns. */
import type { Database } from "bun:sqlite";
import type { WorkspaceArrival, WorkspaceRecord } from "../model/workspace.ts";
import { readJson } from "./json-column.ts";
import type { SpaceReserve } from "./reserve.ts";

export class WorkspaceTable {
  readonly #db: Database;
  readonly #reserve: SpaceReserve;

  constructor(db: Database, reserve: SpaceReserve) {
    this.#db = db;
    this.#reserve = reserve;
  }

  /** Notes a workspace on its way, before anything of it is in the guest. */
  begin(arrival: WorkspaceArrival): void {
    this.#write(arrival.vm, { arrival });
  }

  /** Makes or replaces the record of a VM: it has arrived. */
  put(record: WorkspaceRecord): void {
    this.#write(record.vm, { record });
  }

  /** Forgets a workspace; safe to repeat. */
  remove(vm: string): void {
    this.#reserve.write(() => this.#db.query("DELETE FROM workspaces WHERE vm = ?").run(vm));
  }

  /** The workspace that a VM has. */
  byVm(vm: string): WorkspaceRecord | undefined {
    return this.#read(vm)?.record;
  }

  /** The workspace that was on its way when a daemon ended, or is now. */
  unfinished(vm: string): WorkspaceArrival | undefined {
    return this.#read(vm)?.arrival;
  }

  #write(vm: string, row: Row): void {
    this.#reserve.write(() =>
      this.#db
        .query("INSERT OR REPLACE INTO workspaces (vm, record) VALUES ($vm, $record)")
        .run({ vm, record: JSON.stringify(row) }),
    );
  }

  #read(vm: string): Row | undefined {
    const found = this.#db
      .query<{ record: string }, [string]>("SELECT record FROM workspaces WHERE vm = ?")
      .get(vm);
    return found === null ? undefined : (readJson(found.record, `the workspace of the VM ${vm}`) as Row);
  }
}

/** Exactly one of them. */
interface Row {
  readonly record?: WorkspaceRecord;
  readonly arrival?: WorkspaceArrival;
}
