/** The end of a process that is not our child. */
import type { ProcessHandle } from "./process-identity.ts";
import { watchProcess } from "./process-watch.ts";

/** Kills it and waits until it is gone; does nothing where it has ended. */
export async function endProcess(handle: ProcessHandle): Promise<void> {
  const watch = await watchProcess(handle);
  if (watch?.signal("SIGKILL") === true) await watch.ended;
  watch?.release();
}
