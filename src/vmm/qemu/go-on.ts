/** A QEMU that goes on from a saved machine: from the process that listens to the guest that runs. */
import { BangerError } from "../../model/errors.ts";
import type { SnapshotFiles } from "../snapshot-files.ts";
import { privateRam, refillRam } from "./guest-ram.ts";
import { connectQmp, type QmpClient } from "./qmp.ts";

export interface GoOnInput {
  readonly qmpPath: string;
  readonly pid: number;
  /** Undefined: QEMU reads the state by itself, and everything is there. */
  readonly waits: Waits | undefined;
}

/** QEMU was started without a state, because `memory` is still being written. */
export interface Waits {
  readonly whole: Promise<void>;
  readonly snapshot: SnapshotFiles;
  /** The state's descriptor in QEMU. */
  readonly stateFd: number;
  /** Called when all is there, before QEMU is told so. */
  readonly ready: () => void;
}

/** Resolves when the guest runs. QEMU that cannot read a state ends, and says why. Errors: those of QMP and of `waits`. */
export async function goOn({ qmpPath, pid, waits }: GoOnInput): Promise<void> {
  const resumed = Promise.withResolvers<void>();
  using qmp = await connectQmp(qmpPath, {
    onEvent: ({ name }) => {
      if (name === "RESUME") resumed.resolve();
    },
  });
  if (waits !== undefined) await readState(qmp, pid, waits);
  const { running } = (await qmp.execute("query-status")) as { running?: unknown };
  // It has happened, or its event is still to come.
  if (running !== true) await Promise.race([resumed.promise, qmp.ended]);
}

/** QEMU's machine is complete when it answers, and does nothing until it is told where its state is. */
async function readState(qmp: QmpClient, pid: number, waits: Waits): Promise<void> {
  const { whole, snapshot, stateFd, ready } = waits;
  // Pages that QEMU has written to would stay as they were in a file that was not complete. It writes to none.
  const own = await privateRam(qmp, pid);
  await Promise.race([whole, qmp.ended]);
  if (own.ranges.length > 0) await refillRam(own, snapshot.memory);
  ready();
  await qmp.execute("migrate-incoming", { uri: `fd:${stateFd}` }).catch((error: unknown) => {
    throw notRead(snapshot.state, BangerError.from(error));
  });
}

function notRead(path: string, error: BangerError): BangerError {
  if (error.code !== "failed_precondition") return error;
  return new BangerError("internal", `QEMU does not read the state ${path}: ${error.message}`, {
    cause: error,
  });
}
