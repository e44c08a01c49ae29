/** The event log in the database: written in the transaction of the change that it tells of, bounded in number. */
import type { Database } from "bun:sqlite";
import { EVENTS_KEPT, type EventKind, type VmEvent } from "../model/event.ts";
import type { VmRecord } from "../model/vm.ts";

interface Row {
  cursor: number;
  at: number;
  kind: string;
  vm: string;
  name: string;
  message: string | null;
}

/** Hears of each event after it is committed; must not throw. */
export type EventListener = (event: VmEvent) => void;

/** Old events are removed in lumps of this many. */
const TRIM_LUMP = 1_000;

export class EventTable {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #listeners = new Set<EventListener>();

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** Adds an event; the caller is inside the transaction of the change, and calls `publish` after it. */
  append(kind: EventKind, vm: Pick<VmRecord, "id" | "name" | "lastError">): VmEvent {
    const event = { at: this.#now(), kind, vm: vm.id, name: vm.name, message: vm.lastError?.message };
    const { lastInsertRowid } = this.#db
      .query("INSERT INTO events (at, kind, vm, name, message) VALUES ($at, $kind, $vm, $name, $message)")
      .run({ ...event, message: event.message ?? null });
    const cursor = Number(lastInsertRowid);
    if (cursor % TRIM_LUMP === 0)
      this.#db.query("DELETE FROM events WHERE cursor <= ?").run(cursor - EVENTS_KEPT);
    return { cursor, ...event };
  }

  /** Adds an event that belongs to no change of a record, and tells the listeners. */
  note(kind: EventKind, { id, name }: Pick<VmRecord, "id" | "name">, message: string): void {
    this.publish(this.append(kind, { id, name, lastError: { code: "permission_denied", message } }));
  }

  /** Tells the listeners. */
  publish(event: VmEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** The events after `cursor`, oldest first, at most `limit`. */
  after(cursor: number, limit: number): VmEvent[] {
    return this.#db
      .query<Row, [number, number]>("SELECT * FROM events WHERE cursor > ? ORDER BY cursor LIMIT ?")
      .all(cursor, limit)
      .map((row) => ({ ...row, kind: row.kind as EventKind, message: row.message ?? undefined }));
  }

  /** The cursor of the newest event; 0 when there is none. */
  newest(): number {
    return (
      this.#db.query<{ cursor: number | null }, []>("SELECT max(cursor) AS cursor FROM events").get()
        ?.cursor ?? 0
    );
  }

  /** Whether the log remembers that this VM was removed. */
  knowsRemoval(vm: string): boolean {
    return this.#db.query("SELECT 1 FROM events WHERE vm = ? AND kind = 'removed'").get(vm) !== null;
  }

  /** Adds a listener; disposing removes it. */
  listen(listener: EventListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
