/** What was changed in the guest since a workspace arrived, by what its file system says. Nothing is read but names and times. */
import type { SentFile } from "./manifest.ts";
import { isName, shown } from "./names.ts";
import type { ScannedFile } from "./scan.ts";

export interface GuestChanges {
  /** Files that are not as they were sent. */
  readonly changed: readonly Buffer[];
  /** Files that were not sent; git may ignore some of them. */
  readonly added: readonly Buffer[];
  /** Files that are not there any more. */
  readonly gone: readonly Buffer[];
  readonly notes: readonly string[];
}

export function findChanges(scanned: readonly ScannedFile[], sent: readonly SentFile[]): GuestChanges {
  const known = new Map(sent.map((file) => [file.name.toString("latin1"), file]));
  const nested = new Set(scanned.flatMap(({ name }) => nestedRoot(name)));
  const [changed, added, notes]: [Buffer[], Buffer[], string[]] = [[], [], []];
  const left = new Set(known.keys());
  const touched = new Set<string>();
  for (const file of scanned) {
    const key = file.name.toString("latin1");
    if (file.kind === "directory" || !isName(file.name)) continue;
    const before = known.get(key);
    left.delete(key);
    if (before !== undefined && isAsSent(file, before)) continue;
    const inside = rootOf(key, nested);
    if (inside !== undefined) touched.add(inside);
    else if (file.kind === "other") notes.push(`${shown(file.name)}: it is no file, and is left out`);
    else (before === undefined ? added : changed).push(file.name);
  }
  const gone = [...left].filter((key) => {
    const inside = rootOf(key, nested);
    if (inside !== undefined) touched.add(inside);
    return inside === undefined;
  });
  for (const root of touched) {
    notes.push(`${shown(Buffer.from(root, "latin1"))}: a repository of its own, whose changes are left out`);
  }
  return { changed, added, gone: gone.map((key) => Buffer.from(key, "latin1")), notes };
}

/** Change times cannot be set (inode(7)): what has an earlier one than the arrival was not touched since. */
function isAsSent(file: ScannedFile, sent: SentFile): boolean {
  const isSameKind =
    file.kind === sent.kind && (file.kind === "symlink" || ((file.mode & 0o100) !== 0) === sent.executable);
  return (
    isSameKind && file.size === sent.size && file.mtimeNs === sent.mtimeNs && file.ctimeNs <= sent.arrivedNs
  );
}

/** The directory of a repository below the top, when this is its `.git`. */
function nestedRoot(name: Buffer): string[] {
  const text = name.toString("latin1");
  return text.endsWith("/.git") && !text.startsWith(".git/") ? [text.slice(0, -5)] : [];
}

function rootOf(key: string, roots: ReadonlySet<string>): string | undefined {
  if (roots.size === 0) return undefined;
  for (let at = key.indexOf("/"); at >= 0; at = key.indexOf("/", at + 1)) {
    const directory = key.slice(0, at);
    if (roots.has(directory)) return directory;
  }
  return undefined;
}
