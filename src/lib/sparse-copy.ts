/** Copying a sparse file: its blocks shared where the file system can (ioctl_ficlone(2)), else only what is in it. */
import { constants, copyFile, type FileHandle, open } from "node:fs/promises";
import type { ByteRange } from "./byte-ranges.ts";
import { copyRanges } from "./copy-ranges.ts";
import { ioctl, lseek, SystemCallError } from "./libc.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Not in this file system, between two of them, or not for this kind of file. */
const CANNOT_SHARE: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "EXDEV", "EINVAL", "ENOTTY"]);

/**
 * Makes `to` (mode 0600, not there yet) a copy of `from`, as large and at least as sparse; returns how it was made. When it
 * rejects, a part of `to` may be there. Errors: those of the file system.
 */
export async function copySparse(from: string, to: string): Promise<"shared" | "copied"> {
  if (await shareBlocks(from, to)) return "shared";
  await using source = await open(from, "r");
  await using target = await open(to, "wx", 0o600);
  const { size } = await source.stat();
  await target.truncate(size);
  await copyRanges(source, target, { ranges: dataRanges(source, size) });
  return "copied";
}

/** Makes `to` (mode 0600, not there yet) with the blocks of `from`; false where the file system cannot. */
export async function shareBlocks(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch (error) {
    if (CANNOT_SHARE.has((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
  await using target = await open(to, "r+");
  await target.chmod(0o600);
  return true;
}

/** ioctl_ficlone(2): `_IOW(0x94, 9, int)`. */
const FICLONE = 0x40049409;

/** Gives the open file `to` all blocks of `from`; false where the file system cannot. Errors: those of the file system. */
export function cloneInto(from: number, to: number): boolean {
  try {
    ioctl(to, FICLONE, from);
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && CANNOT_SHARE.has(error.code)) return false;
    throw error;
  }
}

/** Where a file of `size` bytes has data (lseek(2)); a file system that does not know says: everywhere. */
export function dataRanges(file: FileHandle, size: number): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let end = 0; end < size; ) {
    const start = nextData(file.fd, end);
    if (start === undefined || start >= size) break;
    end = Math.min(size, lseek(file.fd, start, SEEK_HOLE));
    ranges.push({ start, end });
  }
  return ranges;
}

function nextData(fd: number, offset: number): number | undefined {
  try {
    return lseek(fd, offset, SEEK_DATA);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENXIO") return undefined;
    throw error;
  }
}
