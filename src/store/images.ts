/** Image names in the database: which name stands for which content. */
import type { Database } from "bun:sqlite";
import type { ImageConfig } from "../model/spec.ts";
import { readJson } from "./json-column.ts";

/** A name for a content-addressed image. Several names may share one digest. */
export interface ImageRecord {
  readonly name: string;
  /** sha256 of the root file system, hex. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** Where it came from, for a person: `debian bookworm (mmdebstrap)`, `import /tmp/rootfs.tar`. */
  readonly source: string;
  readonly config: ImageConfig;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

interface Row {
  name: string;
  digest: string;
  size_bytes: number;
  source: string;
  config: string;
  created_at: number;
}

export class ImageTable {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Inserts the name or points it at new content. */
  upsert(image: ImageRecord): void {
    this.#db
      .query(
        `INSERT INTO images (name, digest, size_bytes, source, config, created_at)
         VALUES ($name, $digest, $size_bytes, $source, $config, $created_at)
         ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes,
           source = excluded.source, config = excluded.config, created_at = excluded.created_at`,
      )
      .run({
        name: image.name,
        digest: image.digest,
        size_bytes: image.sizeBytes,
        source: image.source,
        config: JSON.stringify(image.config),
        created_at: image.createdAt,
      });
  }

  byName(name: string): ImageRecord | undefined {
    const row = this.#db.query<Row, [string]>("SELECT * FROM images WHERE name = ?").get(name);
    return row === null ? undefined : fromRow(row);
  }

  byDigest(digest: string): ImageRecord[] {
    return this.#db
      .query<Row, [string]>("SELECT * FROM images WHERE digest = ? ORDER BY name")
      .all(digest)
      .map(fromRow);
  }

  list(): ImageRecord[] {
    return this.#db.query<Row, []>("SELECT * FROM images ORDER BY name").all().map(fromRow);
  }

  /** Forgets the name; safe to repeat. */
  remove(name: string): void {
    this.#db.query("DELETE FROM images WHERE name = ?").run(name);
  }
}

function fromRow(row: Row): ImageRecord {
  return {
    name: row.name,
    digest: row.digest,
    sizeBytes: row.size_bytes,
    source: row.source,
    config: readJson(row.config, `the configuration of the image ${row.name}`) as ImageConfig,
    createdAt: row.created_at,
  };
}
