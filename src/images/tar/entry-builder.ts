/** Makes one entry of a header and of the long names and extended headers that stood before it. */

import { BangerError } from "../../model/errors.ts";
import {
  type ByteString,
  damagedTar,
  type Extent,
  refusedEntry,
  shownBytes,
  type TarEntry,
  type TarKind,
  type Xattr,
} from "./entry.ts";
import { type RawHeader, readNumber, readText } from "./header.ts";
import type { ImageLimits } from "./limits.ts";
import { cleanPath } from "./path.ts";
import { type PaxRecords, parsePax, paxNumber, paxSeconds } from "./pax.ts";
import { checkExtents, type PaxSparse, readPaxSparse } from "./sparse.ts";
import { hasAcl, readXattrs } from "./xattrs.ts";

const MAX_ID = 2 ** 32 - 1;
/** What a global header may set for all entries: nothing that would be the same for two of them by accident only. */
const GLOBAL_KEYS = new Set([
  "atime",
  "ctime",
  "mtime",
  "uid",
  "gid",
  "uname",
  "gname",
  "comment",
  "charset",
  "hdrcharset",
]);
const KINDS: Readonly<Record<string, TarKind>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  S: "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

export interface BuiltEntry {
  /** Without its map when that follows. */
  readonly entry: TarEntry;
  readonly storedBytes: number;
  /** The map of a sparse file stands before its contents. */
  readonly mapFollows: boolean;
}

export class EntryBuilder {
  readonly #limits: ImageLimits;
  #global: PaxRecords = [];
  #local: PaxRecords | undefined;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;
  #waiting: TarEntry | undefined;

  constructor(limits: ImageLimits) {
    this.#limits = limits;
  }

  /** Something waits for its header. */
  get pending(): boolean {
    return this.#local !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** The contents of an entry of type x, X, g, L or K. Errors: `invalid_argument`. */
  addMeta(type: string, bytes: Buffer): void {
    if (type === "g") this.#addGlobal(parsePax(bytes));
    else if (type === "L") this.#longName = once(this.#longName, longText(bytes));
    else if (type === "K") this.#longLink = once(this.#longLink, longText(bytes));
    else this.#local = once(this.#local, parsePax(bytes));
  }

  /** The size, holes included, that the header block of an old GNU sparse file gives. */
  oldSparseSize(block: Buffer): number {
    return readNumber(block, 483, 12);
  }

  /** Errors: `invalid_argument`, `unsupported` (a kind of entry that is not of a file system). */
  build(
    header: RawHeader,
    old: { readonly extents: readonly Extent[]; readonly sizeBytes: number } | undefined,
  ): BuiltEntry {
    const pax = [...this.#global, ...(this.#local ?? [])];
    const value = (key: string): ByteString | undefined => {
      const found = pax.findLast(([own]) => own === key)?.[1];
      return found === "" ? undefined : found;
    };
    // Nothing keeps these two; a reader that does would stumble over a bad one.
    for (const key of ["atime", "ctime"]) secondsOr(value(key), 0);
    const sparse = this.#local === undefined ? undefined : readPaxSparse(this.#local);
    const name = oneOf(this.#longName, sparse?.name ?? value("path")) ?? header.name;
    const linkName = oneOf(this.#longLink, value("linkpath")) ?? header.linkName;
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;

    const kind = kindOf(header, name);
    const storedBytes = storedSize(kind, { name, declared: numberOr(value("size"), header.sizeBytes) });
    if (sparse !== undefined && kind !== "file") throw refusedEntry(name, "it is sparse and yet no file");
    const holes = sparse ?? old;
    if (holes !== undefined && header.format === "v7")
      throw refusedEntry(name, "it is sparse in a format that has no such files");
    if (holes?.extents !== undefined)
      checkExtents(holes.extents, { sizeBytes: holes.sizeBytes, storedBytes });
    const entry: TarEntry = {
      kind,
      path: cleanPath(name, { entry: name, limits: this.#limits }),
      linkPath: this.#linkPath(kind, { name, linkName }),
      mode: header.mode & 0o7777,
      uid: checkId(numberOr(value("uid"), header.uid), name),
      gid: checkId(numberOr(value("gid"), header.gid), name),
      mtimeSeconds: secondsOr(value("mtime"), header.mtimeSeconds),
      sizeBytes: holes?.sizeBytes ?? storedBytes,
      major: kind === "character" || kind === "block" ? checkDevice(header.major, { name, bits: 12 }) : 0,
      minor: kind === "character" || kind === "block" ? checkDevice(header.minor, { name, bits: 20 }) : 0,
      xattrs: pax.length === 0 ? NO_XATTRS : readXattrs(pax, { entry: name, limits: this.#limits }),
      hasAcl: pax.length > 0 && hasAcl(pax),
      extents: holes?.extents,
    };
    const mapFollows = isMapBefore(sparse);
    this.#waiting = mapFollows ? entry : undefined;
    return { entry, storedBytes, mapFollows };
  }

  /** The entry that waited for its map; `storedBytes` follow it. Errors: `invalid_argument`. */
  withMap(extents: readonly Extent[], storedBytes: number): TarEntry {
    if (this.#waiting === undefined) throw damagedTar("a map of a sparse file belongs to nothing");
    checkExtents(extents, { sizeBytes: this.#waiting.sizeBytes, storedBytes });
    return { ...this.#waiting, extents };
  }

  #addGlobal(records: PaxRecords): void {
    const odd = records.find(([key]) => !GLOBAL_KEYS.has(key));
    if (odd !== undefined) throw damagedTar(`a global header sets "${shownBytes(odd[0])}" for all entries`);
    // The last value of a key is the one that counts; keeping more would let an archive grow it for ever.
    this.#global = [...new Map([...this.#global, ...records])];
  }

  #linkPath(kind: TarKind, names: { readonly name: ByteString; readonly linkName: ByteString }): ByteString {
    const { name, linkName } = names;
    if (kind === "hardlink") return cleanPath(linkName, { entry: name, limits: this.#limits });
    if (kind !== "symlink") return "";
    if (linkName === "" || linkName.includes("\0")) throw refusedEntry(name, "it links to nothing");
    if (linkName.length > this.#limits.maxPathBytes) throw refusedEntry(name, "its target is too long");
    return linkName;
  }
}

/** GNU tar counts the NUL in the size and drops whatever stands in its place. */
function longText(bytes: Buffer): ByteString {
  if (bytes[bytes.length - 1] !== 0) throw damagedTar("a long name has no end");
  return readText(bytes, 0, bytes.length);
}

const NO_XATTRS: readonly Xattr[] = [];

function kindOf(header: RawHeader, name: ByteString): TarKind {
  const kind = KINDS[header.type];
  if (kind === undefined) {
    throw new BangerError(
      "unsupported",
      `the archive entry "${shownBytes(name)}" is of an unknown kind (${shownBytes(JSON.stringify(header.type))})`,
    );
  }
  if (kind !== "file" || !name.endsWith("/")) return kind;
  // v7 has no type for directories; where there is one, a file with such a name is read in two ways.
  if (header.type === "\0") return "directory";
  throw refusedEntry(name, "it is a file whose name ends like a directory's");
}

/** A hard link may carry the size of its target and never its contents; nothing but files has contents. */
function storedSize(kind: TarKind, { name, declared }: { name: ByteString; declared: number }): number {
  if (declared < 0) throw refusedEntry(name, "its size is negative");
  if (kind === "file") return declared;
  if (kind !== "hardlink" && declared !== 0) throw refusedEntry(name, "it has contents and yet is no file");
  return 0;
}

function isMapBefore(sparse: PaxSparse | undefined): boolean {
  return sparse !== undefined && sparse.extents === undefined;
}

function checkId(id: number, name: ByteString): number {
  if (id >= 0 && id <= MAX_ID) return id;
  throw refusedEntry(name, `its owner or group ${id} does not exist`);
}

/** What the kernel's device numbers hold. */
function checkDevice(number: number, { name, bits }: { name: ByteString; bits: number }): number {
  if (number >= 0 && number < 2 ** bits) return number;
  throw refusedEntry(name, `its device number ${number} does not exist`);
}

function numberOr(text: ByteString | undefined, otherwise: number): number {
  return text === undefined ? otherwise : paxNumber(text);
}

function secondsOr(text: ByteString | undefined, otherwise: number): number {
  return text === undefined ? otherwise : paxSeconds(text);
}

/** Programs differ in which of two long names they believe. */
function oneOf(gnu: ByteString | undefined, pax: ByteString | undefined): ByteString | undefined {
  if (gnu !== undefined && pax !== undefined && gnu !== pax) throw damagedTar("an entry has two names");
  return gnu ?? pax;
}

function once<T>(before: T | undefined, value: T): T {
  if (before !== undefined) throw damagedTar("an entry has two extended headers of one kind");
  return value;
}
