/** Workspaces in the database: at most one a VM, gone with it. Every write is durable when the call returns. */
import type { Database } from "bun:sqlite";
import type { WorkspaceRecord } from "../model/workspace.ts";
import type { SpaceReserve } from "./reserve.ts";

export class WorkspaceTable {
  readonly #db: Database;
  readonly #reserve: SpaceReserve;

  constructor(db: Database, reserve: SpaceReserve) {
    this.#db = db;
    this.#reserve = reserve;
  }

  /** Makes or replaces the record of a VM. */
  put(record: WorkspaceRecord): void {
    this.#reserve.write(() =>
      this.#db
        .query("INSERT OR REPLACE INTO workspaces (vm, record) VALUES ($vm, $record)")
        .run({ vm: record.vm, record: JSON.stringify(record) }),
    );
  }

  byVm(vm: string): WorkspaceRecord | undefined {
    const row = this.#db
      .query<{ record: string }, [string]>("SELECT record FROM workspaces WHERE vm = ?")
      .get(vm);
    return row === null ? undefined : (JSON.parse(row.record) as WorkspaceRecord);
  }
}
