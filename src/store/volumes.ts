/** Volumes in the database. Every write is durable when the call returns. */
import type { Database } from "bun:sqlite";
import { BangerError } from "../model/errors.ts";
import type { VolumeRecord } from "../model/volume.ts";
import { storeError } from "./reserve.ts";

interface Row {
  id: string;
  name: string;
  size_bytes: number;
  created_at: number;
}

export class VolumeTable {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Errors: `already_exists`. */
  insert(volume: VolumeRecord): void {
    this.#durably(() => {
      this.demandFreeName(volume.name);
      this.#db
        .query(
          "INSERT INTO volumes (id, name, size_bytes, created_at) VALUES ($id, $name, $size_bytes, $created_at)",
        )
        .run({
          id: volume.id,
          name: volume.name,
          size_bytes: volume.sizeBytes,
          created_at: volume.createdAt,
        });
    });
  }

  /** Errors: `already_exists`. */
  demandFreeName(name: string): void {
    if (this.byName(name) === undefined) return;
    throw new BangerError("already_exists", `a volume named ${name} exists already`, {
      cure: `choose another name, or remove it with: banger volume rm ${name}`,
    });
  }

  byName(name: string): VolumeRecord | undefined {
    const row = this.#db.query<Row, [string]>("SELECT * FROM volumes WHERE name = ?").get(name);
    return row === null ? undefined : fromRow(row);
  }

  /** Errors: `not_found`. */
  get(name: string): VolumeRecord {
    const volume = this.byName(name);
    if (volume !== undefined) return volume;
    throw new BangerError("not_found", `there is no volume ${name}`, {
      cure: `make it with: banger volume create ${name}`,
      details: { field: "volume" },
    });
  }

  /** By name. */
  list(): VolumeRecord[] {
    return this.#db.query<Row, []>("SELECT * FROM volumes ORDER BY name").all().map(fromRow);
  }

  /** Notes another size. */
  resize(id: string, sizeBytes: number): void {
    this.#durably(() => this.#db.query("UPDATE volumes SET size_bytes = ? WHERE id = ?").run(sizeBytes, id));
  }

  /** Deletes the record unless `refuse` throws, in one step; safe to repeat. */
  remove(id: string, refuse: () => void): void {
    this.#durably(() => {
      refuse();
      this.#db.query("DELETE FROM volumes WHERE id = ?").run(id);
    });
  }

  #durably(work: () => unknown): void {
    try {
      this.#db.transaction(work).immediate();
    } catch (error) {
      throw storeError(error);
    }
  }
}

function fromRow(row: Row): VolumeRecord {
  return { id: row.id, name: row.name, sizeBytes: row.size_bytes, createdAt: row.created_at };
}
