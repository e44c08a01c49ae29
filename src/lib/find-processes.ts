/** Processes that are found by what they were started with, as proc(5) shows it, though some are only just starting. */
import { hasProgram, settledArguments } from "./process-arguments.ts";
import {
  findProcesses,
  isMarked,
  isOwnUid,
  type MarkOptions,
  type ProcessHandle,
  readCommandLine,
} from "./process-identity.ts";

export interface FindOptions extends MarkOptions {
  /** For tests: the arguments of a process. */
  readonly read?: (pid: number) => readonly string[];
}

/**
 * As `findByCommandLine`, with those that are in the middle of execve(2) and have no arguments yet: they are waited for until they
 * have. Who wants to leave nothing behind asks here.
 */
export async function findAllByCommandLine(
  marker: string,
  options: FindOptions = {},
): Promise<readonly ProcessHandle[]> {
  const { isOurs = isOwnUid, read = readCommandLine } = options;
  const candidates = findProcesses((pid) => {
    const words = read(pid);
    return words.length === 0 ? hasProgram(pid) : isMarked(words, marker, options);
  }, isOurs);
  const fits = await Promise.all(
    candidates.map(async (handle) => isMarked(await settledArguments(handle, read), marker, options)),
  );
  return candidates.filter((_, at) => fits[at]);
}
