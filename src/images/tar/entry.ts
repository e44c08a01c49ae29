/** An entry of a tar, whatever dialect it was written in. */
import { BangerError } from "../../model/errors.ts";

/**
 * Text whose characters are bytes (0 to 255): names in a tar have no encoding, and a round trip must keep each byte.
 * `shownBytes` makes it readable.
 */
export type ByteString = string;

export type TarKind = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

export interface Xattr {
  /** `security.capability`, `user.x`, … */
  readonly name: ByteString;
  readonly value: ByteString;
}

/** A piece of a sparse file that is no hole. */
export interface Extent {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface TarEntry {
  readonly kind: TarKind;
  /** Components joined by single slashes, none of them "." or ".."; empty for the root. */
  readonly path: ByteString;
  /** Of a symbolic link as written; of a hard link like `path`; else empty. */
  readonly linkPath: ByteString;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  /** 0 to 2^32 - 1, as is `gid`. */
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, also before it. */
  readonly mtimeSeconds: number;
  /** Of a file with its holes; 0 for everything else. */
  readonly sizeBytes: number;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly Xattr[];
  /** It has a POSIX access control list beyond its mode, which is not kept: squashfs has no place for one. */
  readonly hasAcl: boolean;
  /** In order, without overlaps, inside of the size; undefined when there are no holes. */
  readonly extents: readonly Extent[] | undefined;
}

/** Bytes as UTF-8 text for a person, bounded, control characters replaced. */
export function shownBytes(bytes: ByteString): string {
  const text = Buffer.from(bytes.slice(0, 200), "latin1").toString("utf8");
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.slice(0, 100).replaceAll(/[\u0000-\u001f\u007f-\u009f]/gu, "?");
}

/** What an entry is refused with: `invalid_argument`. */
export function refusedEntry(name: ByteString, why: string): BangerError {
  return new BangerError("invalid_argument", `the archive entry "${shownBytes(name)}" is refused: ${why}`, {
    details: { entry: shownBytes(name) },
  });
}

/** What a tar is refused with that is damaged rather than hostile: `invalid_argument`. */
export function damagedTar(why: string): BangerError {
  return new BangerError("invalid_argument", `the archive is damaged or not a tar: ${why}`);
}
