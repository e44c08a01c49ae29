/**
 * Snapshots of fake machines. There are the three files and the checks of a real one; what is in them is only the machine's shape,
 * because a process cannot be saved.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { demandEmpty, machineFacts, snapshotFiles, writeDescription } from "../snapshot-files.ts";

const STATE = "the state of a fake machine\n";

/** Remembers the shape of the machine that runs, for whoever adopts it. */
export function writeShape(path: string, machine: Machine): void {
  writeFileSync(path, JSON.stringify(machineFacts(machine)), { mode: 0o600 });
}

/** Errors: those of `demandEmpty`. */
export function saveFake(dir: string, shapePath: string): void {
  demandEmpty(dir);
  const { state, memory } = snapshotFiles(dir);
  writeDescription(dir, "fake", JSON.parse(readFileSync(shapePath, "utf8")) as Record<string, string>);
  writeFileSync(state, STATE, { mode: 0o600 });
  writeFileSync(memory, "the memory of a fake machine\n", { mode: 0o600 });
}

/** A hypervisor that cannot make sense of the state ends. Errors: `unavailable`. */
export function demandState(dir: string): void {
  if (readFileSync(snapshotFiles(dir).state, "utf8") === STATE) return;
  throw new BangerError("unavailable", "the fake hypervisor cannot read the snapshot's state");
}
