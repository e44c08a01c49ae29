/**
 * VM records in the database. Every write is durable when the call returns, but for those of a VM that is ephemeral before and after: it
 * does not outlive the host, so its records need not.
 */
import type { Database } from "bun:sqlite";
import { BangerError, type ErrorBody } from "../model/errors.ts";
import type { StepTiming, VmRecord, VmState } from "../model/vm.ts";
import type { EventTable } from "./events.ts";
import { commit } from "./flush.ts";
import { readJson } from "./json-column.ts";
import { type SpaceReserve, storeError } from "./reserve.ts";
import { parseSpec } from "./spec-column.ts";

interface Row {
  id: string;
  name: string;
  state: string;
  spec: string;
  image_digest: string;
  address: string;
  ephemeral: number;
  parent: string | null;
  driver: string | null;
  boot_id: string | null;
  created_at: number;
  started_at: number | null;
  stopped_at: number | null;
  last_error: string | null;
  start_steps: string;
  started_spec: string | null;
}

/** What may change of a record after its creation. */
export type VmChange = Partial<
  Pick<
    VmRecord,
    | "name"
    | "state"
    | "spec"
    | "startedSpec"
    | "ephemeral"
    | "driver"
    | "bootId"
    | "startedAt"
    | "stoppedAt"
    | "lastError"
    | "startSteps"
  >
>;

/** What is known of a new VM once name and address are sure. */
export type ChooseRecord = (used: { readonly addresses: ReadonlySet<string> }) => Omit<VmRecord, "ephemeral">;

export class VmTable {
  readonly #db: Database;
  readonly #events: EventTable;
  readonly #reserve: SpaceReserve;

  constructor(db: Database, parts: { readonly events: EventTable; readonly reserve: SpaceReserve }) {
    this.#db = db;
    this.#events = parts.events;
    this.#reserve = parts.reserve;
  }

  /**
   * Claims name and address and inserts the record, all or nothing. `choose` gets the addresses in use and returns the rest of
   * the new record; it runs inside the transaction and must be quick. Errors: `already_exists` for a taken name,
   * `resource_exhausted`, `unavailable` (locked), and whatever `choose` throws.
   */
  reserve({ ephemeral }: Pick<VmRecord, "ephemeral">, choose: ChooseRecord): VmRecord {
    const insert = this.#db.transaction(() => {
      const rows = this.#db.query<{ address: string }, []>("SELECT address FROM vms").all();
      const record = { ...choose({ addresses: new Set(rows.map((row) => row.address)) }), ephemeral };
      if (this.byName(record.name) !== undefined) throw nameTaken(record.name);
      this.#insert(record);
      return { record, event: this.#events.append("created", record) };
    });
    try {
      const { record, event } = commit(this.#db, ephemeral, () => insert.immediate());
      this.#events.publish(event);
      return record;
    } catch (error) {
      throw storeError(error);
    }
  }

  byName(name: string): VmRecord | undefined {
    const row = this.#db.query<Row, [string]>("SELECT * FROM vms WHERE name = ?").get(name);
    return row === null ? undefined : fromRow(row);
  }

  byId(id: string): VmRecord | undefined {
    const row = this.#db.query<Row, [string]>("SELECT * FROM vms WHERE id = ?").get(id);
    return row === null ? undefined : fromRow(row);
  }

  /** Records whose id starts with `prefix` (characters of ids only), at most two: enough to see that it is ambiguous. */
  byIdPrefix(prefix: string): VmRecord[] {
    return this.#db
      .query<Row, [string, string]>("SELECT * FROM vms WHERE id >= ? AND id < ? ORDER BY id LIMIT 2")
      .all(prefix, `${prefix}g`)
      .map(fromRow);
  }

  /** All records, oldest first. */
  list(): VmRecord[] {
    return this.#db.query<Row, []>("SELECT * FROM vms ORDER BY created_at, id").all().map(fromRow);
  }

  /** How many VMs are in each state. */
  countByState(): Partial<Record<VmState, number>> {
    const rows = this.#db
      .query<{ state: string; count: number }, []>("SELECT state, count(*) AS count FROM vms GROUP BY state")
      .all();
    return Object.fromEntries(rows.map((row) => [row.state, row.count]));
  }

  /** Names of VMs made from an image, at most five. */
  usersOfImage(digest: string): string[] {
    return this.#db
      .query<{ name: string }, [string]>("SELECT name FROM vms WHERE image_digest = ? ORDER BY name LIMIT 5")
      .all(digest)
      .map((row) => row.name);
  }

  /** Applies `change` and returns the new record. Errors: `not_found`, `already_exists` for a name that is taken, `resource_exhausted`. */
  update(id: string, change: VmChange): VmRecord {
    const stays = this.#isEphemeral(id) && change.ephemeral !== false;
    const { record, event } = this.#write(stays, () => {
      const before = this.byId(id);
      if (before === undefined) throw new BangerError("not_found", `there is no VM with the id ${id}`);
      const record: VmRecord = { ...before, ...change };
      if (record.name !== before.name && this.byName(record.name) !== undefined) throw nameTaken(record.name);
      this.#put(record);
      const kind = record.state === before.state ? "changed" : record.state;
      return { record, event: this.#events.append(kind, record) };
    });
    this.#events.publish(event);
    return record;
  }

  /** Deletes the record; safe to repeat. */
  remove(id: string): void {
    const event = this.#write(this.#isEphemeral(id), () => {
      const record = this.byId(id);
      if (record === undefined) return undefined;
      this.#db.query("DELETE FROM vms WHERE id = ?").run(id);
      return this.#events.append("removed", record);
    });
    if (event !== undefined) this.#events.publish(event);
  }

  #isEphemeral(id: string): boolean {
    return this.byId(id)?.ephemeral === true;
  }

  /** One transaction, which a full disk does not stop as long as there is room kept. */
  #write<T>(forgettable: boolean, work: () => T): T {
    return this.#reserve.write(() =>
      commit(this.#db, forgettable, () => this.#db.transaction(work).immediate()),
    );
  }

  #put(record: VmRecord): void {
    this.#db
      .query(
        `UPDATE vms SET name = $name, state = $state, spec = $spec, ephemeral = $ephemeral, started_spec = $started_spec, driver = $driver,
           boot_id = $boot_id, started_at = $started_at, stopped_at = $stopped_at, last_error = $last_error,
           start_steps = $start_steps WHERE id = $id`,
      )
      .run({
        id: record.id,
        name: record.name,
        state: record.state,
        spec: JSON.stringify(record.spec),
        ephemeral: record.ephemeral ? 1 : 0,
        started_spec: record.startedSpec === undefined ? null : JSON.stringify(record.startedSpec),
        driver: record.driver ?? null,
        boot_id: record.bootId ?? null,
        started_at: record.startedAt ?? null,
        stopped_at: record.stoppedAt ?? null,
        last_error: record.lastError === undefined ? null : JSON.stringify(record.lastError),
        start_steps: JSON.stringify(record.startSteps),
      });
  }

  #insert(record: VmRecord): void {
    this.#db
      .query(
        `INSERT INTO vms (id, name, state, spec, image_digest, address, ephemeral, parent, driver, boot_id, created_at,
           started_at, stopped_at, last_error, start_steps)
         VALUES ($id, $name, $state, $spec, $image_digest, $address, $ephemeral, $parent, NULL, NULL, $created_at,
           NULL, NULL, NULL, '[]')`,
      )
      .run({
        id: record.id,
        name: record.name,
        state: record.state,
        spec: JSON.stringify(record.spec),
        image_digest: record.imageDigest,
        address: record.address,
        ephemeral: record.ephemeral ? 1 : 0,
        parent: record.parent ?? null,
        created_at: record.createdAt,
      });
  }
}

/** Errors: `failed_precondition` for a row that is damaged. */
function fromRow(row: Row): VmRecord {
  const owner = `the VM ${row.name}`;
  return {
    id: row.id,
    name: row.name,
    state: row.state as VmState,
    spec: parseSpec(row.spec, owner),
    imageDigest: row.image_digest,
    address: row.address,
    ephemeral: row.ephemeral === 1,
    parent: row.parent ?? undefined,
    driver: row.driver ?? undefined,
    bootId: row.boot_id ?? undefined,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    stoppedAt: row.stopped_at ?? undefined,
    lastError:
      row.last_error === null
        ? undefined
        : (readJson(row.last_error, `the last error of ${owner}`) as ErrorBody),
    startedSpec: row.started_spec === null ? undefined : parseSpec(row.started_spec, owner),
    startSteps: readJson(row.start_steps, `the last start of ${owner}`) as StepTiming[],
  };
}

function nameTaken(name: string): BangerError {
  return new BangerError("already_exists", `a VM named ${name} exists already`, {
    cure: `choose another name, or remove it with: banger rm ${name}`,
    details: { name },
  });
}
