/** Processes that are found by what they were started with, as proc(5) shows it, though some are only just starting. */
import { hasProgram, settledArguments } from "./process-arguments.ts";
import { findProcesses, isOwnUid, type ProcessHandle, readCommandLine } from "./process-identity.ts";

export interface FindOptions {
  /** Whose processes count, so that another user's cannot pass for ours. Default: this process's own user's. */
  readonly isOurs?: (uid: number) => boolean;
  /** For tests: the arguments of a process. */
  readonly read?: (pid: number) => readonly string[];
}

/**
 * As `findByCommandLine`, with those that are in the middle of execve(2) and have no arguments yet: they are waited for until they
 * have. Who wants to leave nothing behind asks here.
 */
export async function findAllByCommandLine(
  marker: string,
  { isOurs = isOwnUid, read = readCommandLine }: FindOptions = {},
): Promise<readonly ProcessHandle[]> {
  const candidates = findProcesses((pid) => {
    const words = read(pid);
    return words.length === 0 ? hasProgram(pid) : words.includes(marker);
  }, isOurs);
  const fits = await Promise.all(
    candidates.map(async (handle) => (await settledArguments(handle, read)).includes(marker)),
  );
  return candidates.filter((_, at) => fits[at]);
}
