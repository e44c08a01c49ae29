/** Small files that are whole at every instant: written aside and renamed; what must survive a power cut is flushed, too. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces `path` (mode 0600) with `text`. When it returns, the new content is on disk; at every instant before, and when it throws, a
 * reader sees the old content or the new, never a part (rename(2), fsync(2)). The directory must exist. `aside`: where the new content
 * is until it is whole; writers of one `path` that may meet each need one of their own.
 */
export function replaceFileDurably(path: string, text: string, aside = `${path}.new`): void {
  replace(path, { text, aside, flush: fsyncSync });
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * The same for what the host's end makes worthless: it survives the end of this process, and after a power cut a reader may find the old
 * content, the new, an empty file or none.
 */
export function replaceFile(path: string, text: string): void {
  replace(path, { text, aside: `${path}.new`, flush: () => undefined });
}

interface Content {
  readonly text: string;
  readonly aside: string;
  readonly flush: (file: number) => void;
}

function replace(path: string, { text, aside, flush }: Content): void {
  rmSync(aside, { force: true });
  try {
    writeAside(aside, { text, flush });
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

function writeAside(path: string, { text, flush }: Pick<Content, "text" | "flush">): void {
  const file = openSync(path, "wx", 0o600);
  try {
    // Not writeSync: where the disk has room for a part, that writes the part and is content (write(2)).
    writeFileSync(file, text);
    flush(file);
  } finally {
    closeSync(file);
  }
}
