import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { BangerError } from "../model/errors.ts";
import { openStore } from "../store/store.ts";
import { packBundle } from "./bundle.ts";
import { CarriedWorkspaces } from "./carried.ts";
import { WorkspacePlaces } from "./places.ts";

const RECORD = {
  vm: "0123456789ab",
  hostPath: "/src/tree",
  guestPath: "/root/tree",
  tree: "0".repeat(40),
  readonly: false,
  includeUntracked: false,
  ownBranch: false,
  ofRevision: false,
  arrivedAtNs: "1",
  sentAt: 1,
};

test("bring() leaves nothing of a bundle that breaks off", async () => {
  const dir = mkdtempSync(join(tmpdir(), "banger-carried-"));
  using _gone = { [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
  const [from, vmDir, file] = ["from", "vm", "bundle"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const one of [from, vmDir]) mkdirSync(one);
  writeFileSync(join(from, "manifest"), "x".repeat(5000));
  await packBundle(RECORD, from, file);
  truncateSync(file, statSync(file).size - 10);
  using store = openStore(join(dir, "state.db"));
  const places = (): WorkspacePlaces => new WorkspacePlaces(join(vmDir, "workspace"));
  const carried = new CarriedWorkspaces({ store, locks: new KeyedLock(), places });
  const thrown = await carried.bring("0123456789ab", file).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(BangerError);
  expect(readdirSync(vmDir)).toEqual([]);
});
