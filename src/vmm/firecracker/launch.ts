/** From what the host offers to the one command that is run: in a jail, in a user namespace, or as it is. */
import type { Machine } from "../../model/machine.ts";
import type { RunDir } from "../port.ts";
import { firecrackerArguments } from "./command-line.ts";
import { type Isolation, type ProgramFindings, UNSHARE_ARGS } from "./host-findings.ts";
import { createJail } from "./jail.ts";
import { createLogFiles, placesOf } from "./places.ts";
import type { Transport } from "./platform.ts";
import type { Launch } from "./start.ts";

export interface LaunchInput {
  readonly program: ProgramFindings;
  readonly isolation: Isolation;
  readonly transport: Transport;
  readonly chrootBase: string;
  /** Set for a machine that is resumed from there. */
  readonly snapshotDir?: string;
}

export interface Prepared {
  readonly launch: Launch;
  /** Removes what was made on disk for the launch, but not the logs. The process has ended. */
  undo(): Promise<void>;
}

/** Makes what the process needs before it exists. Errors: `unavailable`. */
export async function prepareLaunch(machine: Machine, dir: RunDir, input: LaunchInput): Promise<Prepared> {
  const { isolation, transport, program } = input;
  if (isolation.kind === "jail") {
    const jail = await createJail(machine, dir, {
      jailer: isolation.jailer,
      base: input.chrootBase,
      program: program.program,
      ...(input.snapshotDir === undefined ? {} : { snapshotDir: input.snapshotDir }),
    });
    const { places, owner } = jail;
    const args = [...jail.args, ...firecrackerArguments(machine.id, { places, transport, jailed: true })];
    return { launch: { program: isolation.jailer, args, places, owner }, undo: () => jail.remove() };
  }
  const places = placesOf(dir);
  createLogFiles(places);
  const args = firecrackerArguments(machine.id, { places, transport, jailed: false });
  const command =
    isolation.kind === "none"
      ? { program: program.program, args }
      : { program: isolation.unshare, args: [...UNSHARE_ARGS, "--", program.program, ...args] };
  return { launch: { ...command, places, owner: undefined }, undo: () => Promise.resolve() };
}
