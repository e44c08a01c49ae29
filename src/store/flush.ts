/** Which transactions wait for the disk. */
import type { Database } from "bun:sqlite";

/** Every commit is on the disk when it returns (https://www.sqlite.org/pragma.html#pragma_synchronous). */
export const FLUSHED = "PRAGMA synchronous = FULL";
/** A commit outlives this process, but a power cut may take it; what is left is consistent, and the next flushed one brings it along. */
const UNFLUSHED = "PRAGMA synchronous = NORMAL";

/**
 * Runs a transaction, which starts and ends in `work`. `forgettable`: its loss by a power cut hurts nobody, for what it speaks of is gone
 * with the host; it does not wait for the disk.
 */
export function commit<T>(db: Database, forgettable: boolean, work: () => T): T {
  if (!forgettable) return work();
  db.run(UNFLUSHED);
  try {
    return work();
  } finally {
    db.run(FLUSHED);
  }
}
