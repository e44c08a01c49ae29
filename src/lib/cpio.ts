/**
 * Writes cpio archives in the "newc" form that the kernel unpacks as an initramfs.
 * Source: Documentation/driver-api/early-userspace/buffer-format.rst, cpio(5).
 */
import { BangerError } from "../model/errors.ts";

/** One entry; `path` is relative (`dev/console`), permissions are the low twelve bits. */
export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string; readonly permissions: number }
  | { readonly kind: "file"; readonly path: string; readonly permissions: number; readonly bytes: Uint8Array }
  | {
      readonly kind: "character-device";
      readonly path: string;
      readonly permissions: number;
      readonly major: number;
      readonly minor: number;
    };

/** The file type bits of inode(7). */
const TYPE_BITS = { directory: 0o040000, file: 0o100000, "character-device": 0o020000 } as const;

/**
 * The whole archive. The same entries in any order give the same bytes: entries are sorted by path (a
 * directory thus comes before what is in it), times are 0, owners are root. Errors: `invalid_argument` for a
 * bad or repeated path.
 */
export function createCpio(entries: readonly CpioEntry[]): Uint8Array {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const parts: Uint8Array[] = [];
  let previous = "";
  for (const [index, entry] of sorted.entries()) {
    if (!/^[^/\0]+(\/[^/\0]+)*$/u.test(entry.path) || entry.path.split("/").includes("..")) {
      throw new BangerError("invalid_argument", `cannot put the path "${entry.path}" into an initramfs`);
    }
    if (entry.path === previous) {
      throw new BangerError("invalid_argument", `the initramfs holds the path "${entry.path}" twice`);
    }
    previous = entry.path;
    parts.push(...cpioRecord(entry.path, index + 1, entry));
  }
  parts.push(...cpioRecord("TRAILER!!!", 0, undefined));
  return Buffer.concat(parts);
}

function cpioRecord(path: string, inode: number, entry: CpioEntry | undefined): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const bytes = entry?.kind === "file" ? entry.bytes : new Uint8Array(0);
  const device = entry?.kind === "character-device" ? entry : { major: 0, minor: 0 };
  const fields = [
    inode,
    entry === undefined ? 0 : TYPE_BITS[entry.kind] | (entry.permissions & 0o7777),
    0, // uid
    0, // gid
    entry?.kind === "directory" ? 2 : 1, // nlink
    0, // mtime
    bytes.byteLength,
    0, // major and minor of the device that holds the file
    0,
    device.major,
    device.minor,
    name.byteLength,
    0, // checksum: only in the "crc" form
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return [header, name, padding(header.byteLength + name.byteLength), bytes, padding(bytes.byteLength)];
}

/** Header with name, and data, are each padded to four bytes. */
function padding(size: number): Uint8Array {
  return new Uint8Array(-size & 3);
}
