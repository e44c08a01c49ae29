/** What went wrong with a Firecracker, in its own words: what it said on stderr and in its log, and what the guest said last. */
import { stat } from "node:fs/promises";
import { lastLines, readTail } from "../../lib/file-tail.ts";
import { BangerError } from "../../model/errors.ts";
import type { HypervisorProcess } from "../hypervisor-process.ts";
import type { ProcessExit } from "../port.ts";
import type { Places } from "./places.ts";

const WORDS_BYTES = 2048;
const WORDS_LINES = 12;
const CONSOLE_BYTES = 16 * 1024;
const CONSOLE_LINES = 12;

/** Firecracker says some things on stderr and some in its log: the end of a process tells both. */
export function withLogWords(process: HypervisorProcess, places: Places): HypervisorProcess {
  const exited = process.exited.then(async (exit): Promise<ProcessExit> => {
    const logged = await wordsOf(places.log.host);
    return { ...exit, stderrTail: [exit.stderrTail, ...logged].filter((line) => line !== "").join("\n") };
  });
  return {
    ...process,
    exited,
    async kill(options) {
      await process.kill(options);
      await exited;
    },
  };
}

export interface FailedStart {
  readonly places: Places;
  readonly consolePath: string;
  /** Where the console of this start begins. */
  readonly consoleFrom: number;
}

/**
 * The error of a start that failed: what happened, then Firecracker's words, then the console's last lines. What Firecracker
 * refused is `unavailable` here: the caller's request was in order.
 */
export async function explainStart(thrown: unknown, start: FailedStart): Promise<BangerError> {
  const error = BangerError.from(thrown);
  if (error.code === "cancelled" || error.code === "invalid_argument") return error;
  const [errors, log, console] = await Promise.all([
    wordsOf(start.places.errorsPath),
    wordsOf(start.places.log.host),
    consoleOf(start),
  ]);
  const words = [...errors, ...log].filter((line) => !error.message.includes(line));
  const message = [
    error.message,
    ...block("Firecracker's last words:", words),
    ...block("The console's last lines:", console),
  ].join("\n");
  return new BangerError(error.code === "failed_precondition" ? "unavailable" : error.code, message, {
    ...(error.cure === undefined ? {} : { cure: error.cure }),
    details: error.details,
    cause: error,
  });
}

/** The size of a file that may not be there. */
export async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    (found) => found.size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return 0;
      throw error;
    },
  );
}

async function consoleOf({ consolePath, consoleFrom }: FailedStart): Promise<readonly string[]> {
  const fresh = (await sizeOf(consolePath)) - consoleFrom;
  if (fresh <= 0) return [];
  return lastLines(await readTail(consolePath, Math.min(fresh, CONSOLE_BYTES)), CONSOLE_LINES);
}

async function wordsOf(path: string): Promise<readonly string[]> {
  return lastLines(await readTail(path, WORDS_BYTES), WORDS_LINES);
}

function block(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}
