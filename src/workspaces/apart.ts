/** What of a scan belongs to which repository: submodules that travelled are workspaces of their own inside a workspace. */
import type { ScannedFile } from "./scan.ts";

/** Without what is in directories that are workspaces of their own. One without a `.git` is none any more: its files are plain ones. */
export function ownFiles(scanned: readonly ScannedFile[], apart: readonly string[]): readonly ScannedFile[] {
  if (apart.length === 0) return scanned;
  const wanted = new Set(apart.map((path) => `${keyOf(path)}/.git`));
  const roots = new Set<string>();
  for (const { name } of scanned) {
    const key = name.toString("latin1");
    if (wanted.has(key)) roots.add(key.slice(0, -"/.git".length));
  }
  return scanned.filter(({ name }) => !isBelow(name.toString("latin1"), roots));
}

/** What is below a directory, named below it. */
export function filesBelow(scanned: readonly ScannedFile[], path: string): ScannedFile[] {
  const prefix = Buffer.from(`${path}/`);
  return scanned.flatMap((file) => {
    const isInside = file.name.length > prefix.length && file.name.subarray(0, prefix.length).equals(prefix);
    return isInside ? [{ ...file, name: file.name.subarray(prefix.length) }] : [];
  });
}

/** Whether it is a repository, and has its `.git` in it. */
export function hasRepository(scanned: readonly ScannedFile[]): boolean {
  return scanned.some(({ name, kind }) => kind === "directory" && name.equals(GIT));
}

const GIT = Buffer.from(".git");

function isBelow(key: string, roots: ReadonlySet<string>): boolean {
  for (let at = key.indexOf("/"); at >= 0; at = key.indexOf("/", at + 1)) {
    if (roots.has(key.slice(0, at))) return true;
  }
  return false;
}

/** Names of scans, as bytes. */
function keyOf(path: string): string {
  return Buffer.from(path).toString("latin1");
}
