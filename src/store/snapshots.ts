/** Snapshot records in the database. Every write is durable when the call returns. */
import type { Database } from "bun:sqlite";
import { BangerError } from "../model/errors.ts";
import type { SnapshotRecord } from "../model/snapshot.ts";
import type { SpaceReserve } from "./reserve.ts";
import { parseSpec } from "./spec-column.ts";

interface Row {
  id: string;
  name: string;
  vm: string;
  vm_name: string;
  spec: string;
  image_digest: string;
  parent: string | null;
  kind: string;
  size_bytes: number;
  pause_ms: number;
  created_at: number;
}

export class SnapshotTable {
  readonly #db: Database;
  readonly #reserve: SpaceReserve;

  constructor(db: Database, reserve: SpaceReserve) {
    this.#db = db;
    this.#reserve = reserve;
  }

  /** Errors: `already_exists` for a name that is taken, `resource_exhausted`, `unavailable` (locked). */
  insert(record: SnapshotRecord): void {
    this.#reserve.write(() => {
      this.#db
        .transaction(() => {
          if (this.byName(record.name) !== undefined) throw snapshotNameTaken(record.name);
          this.#db
            .query(
              `INSERT INTO snapshots (id, name, vm, vm_name, spec, image_digest, parent, kind, size_bytes, pause_ms, created_at)
               VALUES ($id, $name, $vm, $vm_name, $spec, $image_digest, $parent, $kind, $size_bytes, $pause_ms, $created_at)`,
            )
            .run({
              id: record.id,
              name: record.name,
              vm: record.vm,
              vm_name: record.vmName,
              spec: JSON.stringify(record.spec),
              image_digest: record.imageDigest,
              parent: record.parent ?? null,
              kind: record.kind,
              size_bytes: record.sizeBytes,
              pause_ms: record.pauseMs,
              created_at: record.createdAt,
            });
        })
        .immediate();
    });
  }

  byName(name: string): SnapshotRecord | undefined {
    return this.#one("SELECT * FROM snapshots WHERE name = ?", name);
  }

  byId(id: string): SnapshotRecord | undefined {
    return this.#one("SELECT * FROM snapshots WHERE id = ?", id);
  }

  /** Oldest first. */
  list(): SnapshotRecord[] {
    return this.#db.query<Row, []>("SELECT * FROM snapshots ORDER BY created_at, id").all().map(fromRow);
  }

  /** Names of snapshots that need an image, at most five. */
  usersOfImage(digest: string): string[] {
    return this.#db
      .query<{ name: string }, [string]>(
        "SELECT name FROM snapshots WHERE image_digest = ? ORDER BY name LIMIT 5",
      )
      .all(digest)
      .map((row) => row.name);
  }

  /** Deletes the record; safe to repeat. */
  remove(id: string): void {
    this.#reserve.write(() => this.#db.query("DELETE FROM snapshots WHERE id = ?").run(id));
  }

  #one(sql: string, value: string): SnapshotRecord | undefined {
    const row = this.#db.query<Row, [string]>(sql).get(value);
    return row === null ? undefined : fromRow(row);
  }
}

export function snapshotNameTaken(name: string): BangerError {
  return new BangerError("already_exists", `a snapshot named ${name} exists already`, {
    cure: `choose another name, or remove it with: banger snapshot rm ${name}`,
    details: { name },
  });
}

function fromRow(row: Row): SnapshotRecord {
  return {
    id: row.id,
    name: row.name,
    vm: row.vm,
    vmName: row.vm_name,
    spec: parseSpec(row.spec, `the snapshot ${row.name}`),
    imageDigest: row.image_digest,
    parent: row.parent ?? undefined,
    kind: row.kind as SnapshotRecord["kind"],
    sizeBytes: row.size_bytes,
    pauseMs: row.pause_ms,
    createdAt: row.created_at,
  };
}
