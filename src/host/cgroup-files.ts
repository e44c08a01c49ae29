/** The files of the cgroup file systems and of /proc, below a root that tests choose. All of it is synchronous: nothing here waits for a disk. */
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Paths are absolute, as the host knows them. */
export interface CgroupFiles {
  /** The text of a file; undefined when there is none that could be read. */
  read(path: string): string | undefined;
  /** The names of the directories in a directory, and of links; none when it is not there. */
  directories(path: string): readonly string[];
  /** Whether this user may write to the file, or make entries in the directory. */
  writable(path: string): boolean;
  /** One write(2) to a control file, which exists: the kernel makes them. Throws what the kernel says. */
  write(path: string, text: string): void;
  /** Throws what the kernel says; one that is there already is fine. */
  makeDirectory(path: string): void;
  /** Throws what the kernel says (EBUSY: processes are in it); one that is not there is fine. */
  removeDirectory(path: string): void;
}

/** The real ones, below `root`. */
export function createCgroupFiles(root = "/"): CgroupFiles {
  const at = (path: string): string => join(root, path);
  return {
    read: (path) => unless(UNREADABLE, () => readFileSync(at(path), "utf8")),
    directories: (path) =>
      unless(UNREADABLE, () => readdirSync(at(path), { withFileTypes: true }))
        ?.filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
        .map((entry) => entry.name) ?? [],
    writable(path) {
      try {
        accessSync(at(path), constants.W_OK);
        return true;
      } catch {
        // Whatever the reason is (absent, another's, read-only): it cannot be written to.
        return false;
      }
    },
    write(path, text) {
      const fd = openSync(at(path), constants.O_WRONLY);
      try {
        writeSync(fd, text);
      } finally {
        closeSync(fd);
      }
    },
    makeDirectory: (path) => unless(["EEXIST"], () => mkdirSync(at(path))),
    removeDirectory: (path) => unless(["ENOENT"], () => rmdirSync(at(path))),
  };
}

/** ENODEV: the group was removed between open and read. EOPNOTSUPP: the file has no meaning in this kind of group. */
const UNREADABLE: readonly string[] = ["ENOENT", "ENOTDIR", "EACCES", "ENODEV", "EOPNOTSUPP"];

function unless<T>(codes: readonly string[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
