/** The store keeps what it acknowledged and never touches a file it does not understand. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { PUBLIC_NETWORK } from "../model/network-policy.ts";
import type { VmRecord } from "../model/vm.ts";
import { EventTable } from "./events.ts";
import { openDatabase } from "./open.ts";
import { SpaceReserve } from "./reserve.ts";
import { openStore } from "./store.ts";
import { VmTable } from "./vms.ts";

function scratch(): { path: string } & Disposable {
  const dir = mkdtempSync(join(tmpdir(), "banger-store-"));
  return { path: join(dir, "state.db"), [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

const KEPT = { ephemeral: false };

function record(over: Partial<VmRecord> = {}): VmRecord {
  return {
    id: "0123456789ab",
    name: "web",
    state: "stopped",
    spec: {
      image: "debian",
      vcpus: 1,
      memoryMib: 512,
      diskMib: 1024,
      env: { A: "b" },
      network: PUBLIC_NETWORK,
    },
    imageDigest: "d".repeat(64),
    address: "172.16.0.2",
    ephemeral: false,
    parent: undefined,
    driver: undefined,
    bootId: undefined,
    createdAt: 1000,
    startedAt: undefined,
    stoppedAt: undefined,
    lastError: undefined,
    startedSpec: undefined,
    startSteps: [],
    ...over,
  };
}

function refusal(run: () => unknown): BangerError {
  try {
    run();
  } catch (error) {
    if (error instanceof BangerError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** What SQLite calls `synchronous`. */
const FULL = 2;
const NORMAL = 1;

test("only the rows of a VM that does not outlive the host are not flushed", () => {
  using file = scratch();
  using db = openDatabase(file.path);
  const events = new EventTable(db, () => 1000);
  const vms = new VmTable(db, { events, reserve: new SpaceReserve(`${file.path}-reserve`) });
  const mode = (): number | undefined =>
    db.query<{ synchronous: number }, []>("PRAGMA synchronous").get()?.synchronous;
  const seen: (number | undefined)[] = [];
  /** Read in the transaction. */
  const running = {
    get state(): "running" {
      seen.push(mode());
      return "running";
    },
  };
  const { id } = vms.reserve({ ephemeral: true }, () => {
    seen.push(mode());
    return record();
  });
  vms.update(id, running);
  expect(refusal(() => vms.reserve({ ephemeral: true }, () => record({ id: "f".repeat(12) }))).code).toBe(
    "already_exists",
  );
  seen.push(mode());
  vms.update(id, { ...running, ephemeral: false });
  vms.update(id, running);
  expect(seen).toEqual([NORMAL, NORMAL, FULL, FULL, FULL]);
});

test("openStore() keeps a record over closing and opening again, private to the user", () => {
  using file = scratch();
  {
    using store = openStore(file.path);
    store.vms.reserve(KEPT, () => record());
    store.vms.update("0123456789ab", {
      state: "error",
      lastError: { code: "guest_error", message: "the guest fell silent" },
      startSteps: [{ name: "spawn", ms: 12 }],
    });
  }
  using store = openStore(file.path);
  expect(store.vms.byName("web")).toEqual(
    record({
      state: "error",
      lastError: { code: "guest_error", message: "the guest fell silent" },
      startSteps: [{ name: "spawn", ms: 12 }],
    }),
  );
  expect(statSync(file.path).mode & 0o777).toBe(0o600);
});

test("reserve() refuses a taken name and inserts nothing", () => {
  using file = scratch();
  using store = openStore(file.path);
  store.vms.reserve(KEPT, () => record());
  const error = refusal(() =>
    store.vms.reserve(KEPT, () => record({ id: "ffffffffffff", address: "172.16.0.3" })),
  );
  expect(error.code).toBe("already_exists");
  expect(store.vms.list()).toHaveLength(1);
});

test("byIdPrefix() finds at most two records, and only those with the prefix", () => {
  using file = scratch();
  using store = openStore(file.path);
  for (const [index, id] of ["aa0000000001", "aa0000000002", "ab0000000003"].entries()) {
    store.vms.reserve(KEPT, () => record({ id, name: `vm-${index}`, address: `172.16.0.${index + 2}` }));
  }
  expect(store.vms.byIdPrefix("aa").map((vm) => vm.id)).toEqual(["aa0000000001", "aa0000000002"]);
  expect(store.vms.byIdPrefix("ab").map((vm) => vm.id)).toEqual(["ab0000000003"]);
  expect(store.vms.byIdPrefix("b")).toEqual([]);
});

test("openDatabase() refuses a newer schema and leaves the file as it is", () => {
  using file = scratch();
  const db = new Database(file.path);
  db.run("CREATE TABLE future (x); PRAGMA user_version = 99");
  db.close();
  const before = readFileSync(file.path);
  const error = refusal(() => openDatabase(file.path));
  expect(error.code).toBe("failed_precondition");
  expect(error.message).toContain("schema 99");
  expect(readFileSync(file.path).equals(before)).toBe(true);
});

test.each([
  [
    "a file that is no database",
    () => Buffer.from("this is not a database, it is a letter to grandmother\n".repeat(99)),
  ],
  [
    "a database with overwritten pages",
    (path: string) => {
      openStore(path)[Symbol.dispose]();
      const bytes = readFileSync(path);
      bytes.fill(0xa5, 4096, bytes.length);
      return bytes;
    },
  ],
] as const)("openDatabase() reports %s and leaves it untouched", (_, damage) => {
  using file = scratch();
  writeFileSync(file.path, damage(file.path));
  const before = readFileSync(file.path);
  const error = refusal(() => openDatabase(file.path));
  expect(error.code).toBe("failed_precondition");
  expect(error.message).toContain("damaged");
  expect(error.cure).toContain("mv ");
  expect(readFileSync(file.path).equals(before)).toBe(true);
});

test("a row whose bytes are others is damage that is named with its owner, and no fault of banger's own", () => {
  using file = scratch();
  {
    using store = openStore(file.path);
    store.vms.reserve(KEPT, () => record());
  }
  {
    const db = new Database(file.path);
    db.run("UPDATE vms SET spec = replace(spec, '{', '[')");
    db.close();
  }
  using store = openStore(file.path);
  const error = refusal(() => store.vms.list());
  expect(error.code).toBe("failed_precondition");
  expect(error.message).toBe("the database is damaged: the specification of the VM web cannot be read");
  expect(error.cure).toContain("backup");
});

test("openDatabase() undoes a migration that fails half-way", () => {
  using file = scratch();
  const good = { version: 1, sql: "CREATE TABLE a (x)" };
  openDatabase(file.path, [good]).close();
  const bad = { version: 2, sql: "CREATE TABLE b (x); CREATE TABLE a (x)" };
  refusal(() => openDatabase(file.path, [good, bad]));
  const db = openDatabase(file.path, [good, { version: 2, sql: "CREATE TABLE b (x)" }]);
  expect(db.query<{ n: number }, []>("SELECT count(*) AS n FROM b").get()?.n).toBe(0);
  db.close();
});
