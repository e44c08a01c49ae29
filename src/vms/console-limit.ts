/** A bound on the console file, which the guest fills as it likes. */
import { open, stat } from "node:fs/promises";
import { watchGrowth } from "../lib/growth-watch.ts";

/** A console larger than this is cut back to its end. */
const MAX_BYTES = 8 * 1024 * 1024;
const KEPT_BYTES = 1024 * 1024;
/** The file is looked at this often at most, and only while it grows. */
const LOOK_EVERY_MS = 500;

/**
 * Watches the file at `path`, which exists, and cuts it back when it has grown too large. The hypervisor appends
 * (O_APPEND), so that it goes on at the new end; what it writes during the cut may be lost. Disposing ends it.
 */
export function limitConsole(path: string, onError: (error: unknown) => void): Disposable {
  return watchGrowth(path, { everyMs: LOOK_EVERY_MS, look: () => cutBack(path), onError });
}

/** Cuts a file above the bound back to its last MiB. */
export async function cutBack(path: string): Promise<void> {
  const { size } = await stat(path);
  if (size <= MAX_BYTES) return;
  await using file = await open(path, "r+");
  const tail = Buffer.alloc(KEPT_BYTES);
  const { bytesRead } = await file.read(tail, 0, KEPT_BYTES, size - KEPT_BYTES);
  await file.truncate(0);
  await file.writeFile(tail.subarray(0, bytesRead));
}
