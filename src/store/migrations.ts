/** The schema's history: numbered, forward only, each applied in its own transaction. Never edit one that was released. */

export interface Migration {
  readonly version: number;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    sql: `
      CREATE TABLE vms (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        spec TEXT NOT NULL,
        image_digest TEXT NOT NULL,
        address TEXT NOT NULL UNIQUE,
        ephemeral INTEGER NOT NULL,
        driver TEXT,
        boot_id TEXT,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        stopped_at INTEGER,
        last_error TEXT,
        start_steps TEXT NOT NULL
      ) STRICT;
      CREATE TABLE images (
        name TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        source TEXT NOT NULL,
        config TEXT NOT NULL,
        created_at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX images_by_digest ON images (digest);
    `,
  },
  {
    version: 2,
    sql: `
      ALTER TABLE vms ADD COLUMN started_spec TEXT;
      CREATE TABLE events (
        cursor INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        vm TEXT NOT NULL,
        name TEXT NOT NULL,
        message TEXT
      ) STRICT;
    `,
  },
  {
    version: 3,
    sql: `
      CREATE TABLE volumes (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        size_bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
  {
    version: 4,
    sql: `
      CREATE TABLE kernels (
        name TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        created_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
  {
    version: 5,
    sql: `
      ALTER TABLE vms ADD COLUMN parent TEXT;
      CREATE TABLE snapshots (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        vm TEXT NOT NULL,
        vm_name TEXT NOT NULL,
        spec TEXT NOT NULL,
        image_digest TEXT NOT NULL,
        parent TEXT,
        kind TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        pause_ms REAL NOT NULL,
        created_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
  {
    version: 6,
    sql: `
      CREATE TABLE workspaces (
        vm TEXT PRIMARY KEY,
        record TEXT NOT NULL
      ) STRICT;
      CREATE TRIGGER workspace_goes_with_vm AFTER DELETE ON vms BEGIN
        DELETE FROM workspaces WHERE vm = OLD.id;
      END;
    `,
  },
];
