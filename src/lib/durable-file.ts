/** Small files that must survive a crash whole: written aside, flushed, renamed, and the directory flushed. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces `path` (mode 0600) with `text`. When it returns, the new content is on disk; at every instant before, a
 * reader sees the old content or the new, never a part (rename(2), fsync(2)). The directory must exist.
 */
export function replaceFileDurably(path: string, text: string): void {
  const aside = `${path}.new`;
  rmSync(aside, { force: true });
  const file = openSync(aside, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
