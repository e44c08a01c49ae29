/**
 * A snapshot's directory, the same for every driver: three files, and in `machine.json` what the machine was, so that a snapshot
 * meets only what it fits.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { BangerError } from "../model/errors.ts";
import type { Machine } from "../model/machine.ts";

const FORMAT = 1;

export interface SnapshotFiles {
  readonly description: string;
  /** Devices and CPUs. */
  readonly state: string;
  /** As large as the guest's memory, sparse. */
  readonly memory: string;
}

export function snapshotFiles(dir: string): SnapshotFiles {
  return {
    description: join(dir, "machine.json"),
    state: join(dir, "state"),
    memory: join(dir, "memory"),
  };
}

/** Refuses a directory that a snapshot would mix with something. Errors: `not_found`, `already_exists`. */
export function demandEmpty(dir: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(dir);
  } catch (cause) {
    throw new BangerError("not_found", `there is no directory ${dir} for the snapshot`, { cause });
  }
  if (names.length > 0) throw new BangerError("already_exists", `the directory ${dir} is not empty`);
}

/** Safe to repeat. */
export function removeSnapshot(dir: string): void {
  for (const path of Object.values(snapshotFiles(dir))) rmSync(path, { force: true });
}

/** What must be equal for a snapshot to be resumed: by name, in words that a person understands. */
export type SnapshotFacts = Readonly<Record<string, string>>;

/** Those of a machine's shape. */
export function machineFacts(
  machine: Pick<Machine, "vcpus" | "memoryMib" | "disks" | "nics">,
): SnapshotFacts {
  return {
    vcpus: String(machine.vcpus),
    memory: `${machine.memoryMib} MiB`,
    disks: machine.disks.map(({ id, readOnly }) => `${id}${readOnly ? " (read-only)" : ""}`).join(", "),
    nics: machine.nics.map(({ id }) => id).join(", "),
  };
}

const Description = z.strictObject({
  format: z.literal(FORMAT),
  driver: z.string().max(32),
  facts: z.record(z.string().max(64), z.string().max(16_384)),
});

/** Writes `machine.json` (mode 0600). */
export function writeDescription(dir: string, driver: string, facts: SnapshotFacts): void {
  const text = `${JSON.stringify({ format: FORMAT, driver, facts }, undefined, 1)}\n`;
  writeFileSync(snapshotFiles(dir).description, text, { mode: 0o600, flag: "wx" });
}

/**
 * Checks that a snapshot is whole as far as that can be seen without reading it all, and fits. Errors: `failed_precondition`, saying
 * which part is missing or which fact differs.
 */
export function checkSnapshot(dir: string, driver: string, facts: SnapshotFacts): void {
  for (const path of Object.values(snapshotFiles(dir))) {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
      throw notWhole(`there is no file ${path}`);
  }
  const description = readDescription(dir);
  const theirs = { driver: description.driver, ...description.facts };
  const ours: SnapshotFacts = { driver, ...facts };
  for (const name of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    const [theirFact, ourFact] = [(theirs as SnapshotFacts)[name] ?? "none", ours[name] ?? "none"];
    if (theirFact === ourFact) continue;
    throw new BangerError(
      "failed_precondition",
      `the snapshot was made with another ${name} (${theirFact}) than the one here (${ourFact})`,
      {
        cure: "resume it where it was made, or start the VM cold",
        details: { name, theirs: theirFact, ours: ourFact },
      },
    );
  }
}

function readDescription(dir: string): z.infer<typeof Description> {
  const path = snapshotFiles(dir).description;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw notWhole(`${path} cannot be read`, cause);
  }
  const parsed = Description.safeParse(value);
  if (!parsed.success) throw notWhole(`${path} is not the description of a machine`, parsed.error);
  return parsed.data;
}

function notWhole(why: string, cause?: unknown): BangerError {
  return new BangerError("failed_precondition", `the snapshot cannot be used: ${why}`, {
    cure: "delete it and make it anew",
    cause,
  });
}
