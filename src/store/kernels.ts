/** Kernel names in the database: which name stands for which kernel on disk. */
import type { Database } from "bun:sqlite";

/** Several names may share one kernel. */
export interface KernelRecord {
  readonly name: string;
  /** SHA-256 of the kernel and its modules, hex. */
  readonly id: string;
  /** Unix milliseconds: when the name was given. */
  readonly createdAt: number;
}

interface Row {
  name: string;
  id: string;
  created_at: number;
}

export class KernelTable {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Inserts the name or points it at another kernel. */
  upsert({ name, id, createdAt }: KernelRecord): void {
    this.#db
      .query(
        `INSERT INTO kernels (name, id, created_at) VALUES ($name, $id, $created_at)
         ON CONFLICT (name) DO UPDATE SET id = excluded.id, created_at = excluded.created_at`,
      )
      .run({ name, id, created_at: createdAt });
  }

  byName(name: string): KernelRecord | undefined {
    const row = this.#db.query<Row, [string]>("SELECT * FROM kernels WHERE name = ?").get(name);
    return row === null ? undefined : fromRow(row);
  }

  list(): KernelRecord[] {
    return this.#db.query<Row, []>("SELECT * FROM kernels ORDER BY name").all().map(fromRow);
  }

  /** Forgets the name; safe to repeat. */
  remove(name: string): void {
    this.#db.query("DELETE FROM kernels WHERE name = ?").run(name);
  }
}

function fromRow(row: Row): KernelRecord {
  return { name: row.name, id: row.id, createdAt: row.created_at };
}
