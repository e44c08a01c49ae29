/** The end of the daemon: every part is ended, whatever became of the others, and none for longer than it may take. */
import type { Logger } from "pino";
import { withDeadline } from "../lib/deadline.ts";

export interface Part {
  /** A noun, for the log. */
  readonly what: string;
  readonly end: () => void | Promise<void>;
}

export interface ShutDownOptions {
  readonly log: Pick<Logger, "error">;
  /** How long each part may take (default 20 s). What it leaves, the next daemon finds and removes. */
  readonly limitMs?: number;
}

/** A hypervisor that is ended on a busy host takes seconds. */
const LIMIT_MS = 20_000;

/** Ends the stages in their order, the parts of one at once. Resolves with whether all went well; never throws. */
export async function shutDown(
  stages: readonly (readonly Part[])[],
  { log, limitMs = LIMIT_MS }: ShutDownOptions,
): Promise<boolean> {
  let isWell = true;
  const end = async (part: Part): Promise<void> => {
    try {
      await withDeadline((async () => await part.end())(), { ms: limitMs, what: `the end of ${part.what}` });
    } catch (error) {
      isWell = false;
      report(log, part, error);
    }
  };
  for (const stage of stages) await Promise.all(stage.map(end));
  return isWell;
}

function report(log: Pick<Logger, "error">, { what }: Part, error: unknown): void {
  try {
    log.error({ err: error }, `${what} could not be ended as it should; the daemon ends all the same`);
  } catch {
    // Nobody can be told, and the daemon must end.
  }
}
