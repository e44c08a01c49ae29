/** Small files that must survive a crash whole: written aside, flushed, renamed, and the directory flushed. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces `path` (mode 0600) with `text`. When it returns, the new content is on disk; at every instant before, and when it throws, a
 * reader sees the old content or the new, never a part (rename(2), fsync(2)). The directory must exist. `aside`: where the new content
 * is until it is whole; writers of one `path` that may meet each need one of their own.
 */
export function replaceFileDurably(path: string, text: string, aside = `${path}.new`): void {
  rmSync(aside, { force: true });
  try {
    writeAside(aside, text);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function writeAside(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    // Not writeSync: where the disk has room for a part, that writes the part and is content (write(2)).
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
