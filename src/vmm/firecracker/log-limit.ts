/** A bound on the files that Firecracker writes by itself: 5 KB of metrics a minute, and what a guest makes it say in its log. */
import { open } from "node:fs/promises";
import { watchGrowth } from "../../lib/growth-watch.ts";
import { punchHole } from "../../lib/libc.ts";

/** A file that takes more of the disk than this is cut back to its end. */
export const MAX_LOG_BYTES: number = 1024 * 1024;
const KEPT_BYTES = 256 * 1024;
const LOOK_EVERY_MS = 500;
/** What stat(2) counts blocks in. */
const BLOCK_BYTES = 512;

/** Bounds the files at `paths`, now and until it is disposed. One that is not there is left alone. */
export function limitLogs(paths: readonly string[]): Disposable {
  const watches = new DisposableStack();
  for (const path of paths) {
    const look = (): Promise<void> => cutBack(path);
    // A log that cannot be cut back, on a file system without holes say, is no reason to disturb the VM that writes it.
    const onError = (): void => undefined;
    look().catch(onError);
    try {
      watches.use(watchGrowth(path, { everyMs: LOOK_EVERY_MS, look, onError }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return watches;
}

/**
 * Gives back what the file at `path` has before its last 256 KiB, if it has too much. Firecracker does not append, but goes on where it was
 * (FcLineWriter in its logger), so the file stays as long as it was, and its beginning becomes a hole.
 */
export async function cutBack(path: string): Promise<void> {
  await using file = await open(path, "r+");
  const { blocks, size } = await file.stat();
  if (blocks * BLOCK_BYTES > MAX_LOG_BYTES) punchHole(file.fd, size - KEPT_BYTES);
}
