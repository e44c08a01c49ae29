/** Files and trees of this host become an archive, made as fast as it is taken. */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
} from "node:fs";
import { BLOCK, encodeMember, type Member, type MemberKind, padding } from "../../lib/tar/member.ts";
import { BangerError } from "../../model/errors.ts";
import { shownName } from "./place.ts";
import { findPieces, formatMap, type Piece } from "./sparse.ts";

export interface PackOptions {
  /** Links are followed, everywhere. */
  readonly follow: boolean;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Hears of what is left out. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** Small members are gathered into pieces of this size. */
const PIECE = 256 * 1024;
const MAX_DEPTH = 512;
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Yields the archive of `path`, its top named `name`; `.` leaves the names of what is in a directory as they are. A file that
 * changes meanwhile is cut or filled up with zeros, and noted. Errors: those of the host's files.
 */
export async function* pack(path: string, name: string, options: PackOptions): AsyncGenerator<Uint8Array> {
  const packer = new Packer(options);
  yield* gather(packer.entry(Buffer.from(path), Buffer.from(name), []));
}

/** Joins small pieces, and adds the end mark. Pieces may be used again by their maker, so they are copied. */
function* gather(source: Iterable<Uint8Array>): Generator<Uint8Array> {
  let buffer = Buffer.allocUnsafe(PIECE);
  let have = 0;
  const parts = function* (): Generator<Uint8Array> {
    yield* source;
    yield Buffer.alloc(2 * BLOCK);
  };
  for (const part of parts()) {
    for (let at = 0; at < part.length; ) {
      const count = Math.min(part.length - at, PIECE - have);
      buffer.set(part.subarray(at, at + count), have);
      have += count;
      at += count;
      if (have < PIECE) continue;
      yield buffer;
      buffer = Buffer.allocUnsafe(PIECE);
      have = 0;
    }
  }
  if (have > 0) yield buffer.subarray(0, have);
}

class Packer {
  readonly #options: PackOptions;
  readonly #linked = new Map<string, Buffer>();
  readonly #buffer = Buffer.allocUnsafe(PIECE);

  constructor(options: PackOptions) {
    this.#options = options;
  }

  /** `above`: device and inode of the directories above. */
  *entry(path: Buffer, name: Buffer, above: readonly string[]): Generator<Uint8Array> {
    const look = this.#options.follow ? statSync : lstatSync;
    const status = look(path, { bigint: true });
    if (status.isDirectory()) yield* this.#directory(path, name, status, above);
    else if (status.isFile()) yield* this.#file(path, name);
    else if (status.isSymbolicLink()) {
      yield encodeMember(
        describe("symlink", name, status, { link: readlinkSync(path, { encoding: "buffer" }) }),
      );
    } else if (status.isFIFO()) yield encodeMember(describe("fifo", name, status));
    else this.#options.onNote?.(`${shownName(name)}: a socket or device is not copied`);
  }

  *#directory(
    path: Buffer,
    name: Buffer,
    status: BigIntStats,
    above: readonly string[],
  ): Generator<Uint8Array> {
    const identity = `${status.dev}:${status.ino}`;
    if (above.length >= MAX_DEPTH || above.includes(identity)) {
      throw new BangerError("failed_precondition", `${shownName(path)} is in a loop of links, or too deep`);
    }
    const isTop = name.equals(HERE);
    yield encodeMember(describe("directory", isTop ? name : Buffer.concat([name, SLASH]), status));
    for (const child of readdirSync(path, { encoding: "buffer" }).toSorted((a, b) => Buffer.compare(a, b))) {
      const childPath = Buffer.concat([path, SLASH, child]);
      const childName = isTop ? child : Buffer.concat([name, SLASH, child]);
      try {
        yield* this.entry(childPath, childName, [...above, identity]);
      } catch (error) {
        // It was there a moment ago.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        this.#options.onNote?.(`${shownName(childName)}: it vanished meanwhile`);
      }
    }
  }

  *#file(path: Buffer, name: Buffer): Generator<Uint8Array> {
    const fd = openSync(path, this.#options.follow ? READ : READ | constants.O_NOFOLLOW);
    try {
      const status = fstatSync(fd, { bigint: true });
      // Somebody put another thing in its place since it was looked at.
      if (!status.isFile()) return this.#options.onNote?.(`${shownName(name)}: it vanished meanwhile`);
      const first = this.#firstName(status, name);
      if (first !== undefined) return yield encodeMember(describe("hardlink", name, status, { link: first }));
      const size = Number(status.size);
      const found = findPieces(fd);
      const map = found === undefined ? EMPTY : formatMap(found, size);
      const pieces: readonly Piece[] = found ?? [[0, size]];
      const stored = map.length + pieces.reduce((sum, [, length]) => sum + length, 0);
      const sparse = found === undefined ? undefined : size;
      yield encodeMember(describe("file", name, status, { size: stored, sparse }));
      yield map;
      for (const piece of pieces) yield* this.#piece(fd, name, piece);
      yield Buffer.alloc(padding(stored));
    } finally {
      closeSync(fd);
    }
  }

  *#piece(fd: number, name: Buffer, [start, length]: Piece): Generator<Uint8Array> {
    for (let done = 0; done < length; ) {
      const wanted = Math.min(PIECE, length - done);
      let count = readSync(fd, this.#buffer, 0, wanted, start + done);
      if (count === 0) {
        if (done < length) this.#options.onNote?.(`${shownName(name)}: it became shorter while it was read`);
        this.#buffer.fill(0);
        count = wanted;
      }
      this.#options.onProgress?.(count);
      yield this.#buffer.subarray(0, count);
      done += count;
    }
  }

  /** The first name of a file with several, when this is not it. */
  #firstName(status: BigIntStats, name: Buffer): Buffer | undefined {
    if (status.nlink < 2n) return undefined;
    const identity = `${status.dev}:${status.ino}`;
    const first = this.#linked.get(identity);
    if (first === undefined) this.#linked.set(identity, name);
    return first;
  }
}

const EMPTY = Buffer.alloc(0);
const SLASH = Buffer.from("/");
const HERE = Buffer.from(".");
const BILLION = 1_000_000_000n;

function describe(kind: MemberKind, name: Buffer, status: BigIntStats, more: Partial<Member> = {}): Member {
  const nanoseconds = ((status.mtimeNs % BILLION) + BILLION) % BILLION;
  return {
    name,
    kind,
    link: EMPTY,
    mode: Number(status.mode) & 0o7777,
    uid: Number(status.uid),
    gid: Number(status.gid),
    size: 0,
    mtime: { seconds: Number((status.mtimeNs - nanoseconds) / BILLION), nanoseconds: Number(nanoseconds) },
    ...more,
  };
}
