/** Opening the database: integrity first, then migrations. A file that is newer or damaged is left as it is. */
import { Database } from "bun:sqlite";
import { closeSync, existsSync, openSync } from "node:fs";
import { BangerError } from "../model/errors.ts";
import { FLUSHED } from "./flush.ts";
import { MIGRATIONS, type Migration } from "./migrations.ts";

/**
 * Opens or creates the database at `path` (mode 0600) and brings it to the newest schema. Writes are durable when
 * they return, unless `commit` says otherwise: WAL with `synchronous=FULL`.
 *
 * Errors: `failed_precondition` for a database that is damaged, newer than this program or locked by another one;
 * `unavailable` when the file cannot be opened. The caller owns the handle and closes it.
 */
export function openDatabase(path: string, migrations: readonly Migration[] = MIGRATIONS): Database {
  const existed = existsSync(path);
  try {
    if (existed) inspect(path, migrations);
    else closeSync(openSync(path, "wx", 0o600));
    const db = new Database(path, { readwrite: true, strict: true });
    try {
      db.run("PRAGMA busy_timeout = 2000");
      db.run("PRAGMA journal_mode = WAL");
      db.run(FLUSHED);
      db.run("PRAGMA foreign_keys = ON");
      migrate(db, migrations);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  } catch (error) {
    throw translate(error, path);
  }
}

/** Looks at an existing file without changing a byte of it. */
function inspect(path: string, migrations: readonly Migration[]): void {
  const db = new Database(path, { readonly: true });
  try {
    const check = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
    if (check?.quick_check !== "ok") {
      throw damaged(path, check?.quick_check ?? "no answer to quick_check");
    }
    const found = versionOf(db);
    const newest = migrations.at(-1)?.version ?? 0;
    if (found > newest) {
      throw new BangerError(
        "failed_precondition",
        `the database ${path} has schema ${found}, and this banger knows schemas up to ${newest}`,
        { cure: "use the newer banger that wrote it, or another BANGER_HOME", details: { found, newest } },
      );
    }
  } finally {
    db.close();
  }
}

function migrate(db: Database, migrations: readonly Migration[]): void {
  for (const migration of migrations) {
    if (migration.version <= versionOf(db)) continue;
    db.transaction(() => {
      db.run(migration.sql);
      db.run(`PRAGMA user_version = ${migration.version}`);
    }).immediate();
  }
}

function versionOf(db: Database): number {
  return db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
}

function translate(error: unknown, path: string): BangerError {
  if (error instanceof BangerError) return error;
  const code = errorCode(error);
  if (code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT")) return damaged(path, code);
  if (code.startsWith("SQLITE_BUSY")) {
    return new BangerError("failed_precondition", `the database ${path} is locked by another program`, {
      cure: "end the program that holds it, then repeat the command",
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new BangerError("unavailable", `cannot open the database ${path}: ${message}`, {
    cure: "check that the directory exists, is yours, and has space left",
    cause: error,
  });
}

function damaged(path: string, detail: string): BangerError {
  return new BangerError(
    "failed_precondition",
    `the database ${path} is damaged (${detail}); it was left as it is`,
    {
      cure: `restore a backup of it, or set it aside: mv ${path} ${path}.damaged (what is beside it is not touched)`,
    },
  );
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
