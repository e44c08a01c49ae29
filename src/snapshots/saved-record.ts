/** The record of a snapshot, beside its files: what the database says of it can be said again when the database has lost it. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { validateVmName } from "../model/names.ts";
import type { SnapshotRecord } from "../model/snapshot.ts";
import { parseSpec } from "../store/spec-column.ts";

const RECORD = "record.json";

/** All but what the files themselves say. */
export type KeptRecord = Omit<SnapshotRecord, "sizeBytes">;

const Id = z.string().regex(/^[0-9a-f]{12}$/);

const Kept = z.strictObject({
  id: Id,
  name: z.string(),
  vm: Id,
  vmName: z.string(),
  spec: z.looseObject({}),
  imageDigest: z.string().regex(/^[0-9a-f]{64}$/),
  parent: Id.optional(),
  kind: z.enum(["machine", "disk"]),
  pauseMs: z.number(),
  createdAt: z.number(),
});

/** Into a directory that is not published yet. */
export async function writeRecord(dir: string, record: KeptRecord): Promise<void> {
  await writeFile(join(dir, RECORD), `${JSON.stringify(record, undefined, 1)}\n`, { mode: 0o600 });
}

/** Undefined when there is none, as beside snapshots of earlier versions, or it makes no sense. */
export function readRecord(dir: string): KeptRecord | undefined {
  try {
    const kept = Kept.parse(JSON.parse(readFileSync(join(dir, RECORD), "utf8")));
    const spec = parseSpec(JSON.stringify(kept.spec), `the snapshot ${kept.name}`);
    return { ...kept, name: validateVmName(kept.name), spec, parent: kept.parent };
  } catch {
    // Whoever asks then leaves the files as they are, and says so.
    return undefined;
  }
}
