/** An archive of a guest becomes files of this host. The guest may send anything: names, kinds, counts and sizes are checked. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { damaged, type Member } from "../../lib/tar/member.ts";
import { TarReader } from "../../lib/tar/reader.ts";
import { BangerError } from "../../model/errors.ts";
import { components, Place, shownName, type UnpackRules } from "./place.ts";
import { type Piece, readMap } from "./sparse.ts";
import { utimeOf } from "./times.ts";

export interface UnpackOptions extends UnpackRules {
  /** An existing directory. */
  readonly into: string;
  /** The only name at the top of the archive, and its kind; undefined: what is in a directory, under names of its own. */
  readonly expect: { readonly name: string; readonly kind: Member["kind"] } | undefined;
  readonly limits: UnpackLimits;
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface UnpackLimits {
  readonly entries: number;
  /** Of all content, holes not counted. */
  readonly bytes: number;
}

export interface Unpacked {
  readonly entries: number;
  readonly bytes: number;
  /** What was left out, for people. */
  readonly notes: readonly string[];
}

/**
 * Unpacks. What is complete stays when it fails; nothing half is under its final name. Errors: `guest_error` for an archive that is
 * not what was asked for, `resource_exhausted` (limits), `invalid_argument` and `failed_precondition` for names that would leave the
 * destination, and those of the host's files.
 */
export async function unpack(source: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<Unpacked> {
  using place = new Place(options.into, options);
  const unpacker = new Unpacker(new TarReader(source), place, options);
  await unpacker.run();
  place.finish();
  return unpacker;
}

class Unpacker implements Unpacked {
  entries = 0;
  bytes = 0;
  readonly notes: string[] = [];
  readonly #reader: TarReader;
  readonly #place: Place;
  readonly #options: UnpackOptions;
  /** Inodes of what this has made: what was here before is no target for a guest's hard links. */
  readonly #made = new Set<number>();
  readonly #temporary = Buffer.from(`.banger-cp-${process.pid}-${randomBytes(6).toString("hex")}`);

  constructor(reader: TarReader, place: Place, options: UnpackOptions) {
    this.#reader = reader;
    this.#place = place;
    this.#options = options;
  }

  async run(): Promise<void> {
    for (let member = await this.#reader.next(); member !== undefined; member = await this.#reader.next()) {
      const parts = components(member.name);
      this.#check(member, parts);
      await this.#unpack(member, parts);
    }
    if (this.entries === 0 && this.#options.expect !== undefined) {
      throw new BangerError("guest_error", "the guest sent an empty archive");
    }
  }

  #check(member: Member, parts: readonly Buffer[]): void {
    const { expect, limits } = this.#options;
    this.entries += 1;
    if (this.entries > limits.entries) throw tooMuch(`${limits.entries} files`);
    if (expect === undefined) return;
    const top = parts[0]?.toString();
    const first = parts.length === 1 && this.entries === 1;
    const allowed = first ? member.kind === expect.kind : expect.kind === "directory" && parts.length > 1;
    if (top === expect.name && allowed) return;
    throw new BangerError(
      "guest_error",
      `the guest sent ${shownName(member.name)}, a ${member.kind}, where ${shownName(expect.name)}, a ${expect.kind}, was awaited`,
    );
  }

  async #unpack(member: Member, parts: readonly Buffer[]): Promise<void> {
    switch (member.kind) {
      case "directory":
        return this.#place.makeDirectory(parts, member);
      case "file":
        return await this.#file(member, parts);
      case "symlink":
        return this.#make(parts, (path) => {
          symlinkSync(member.link, path);
          if (this.#options.archive && process.getuid?.() === 0) lchownSync(path, member.uid, member.gid);
          lutimesSync(path, utimeOf(member.mtime), utimeOf(member.mtime));
        });
      case "hardlink":
        return this.#link(member, parts);
      case "fifo":
      case "character":
      case "block":
        if (this.notes.length < 32)
          this.notes.push(`${shownName(member.name)}: a ${member.kind} is not made on this host`);
        return undefined;
    }
  }

  async #file(member: Member, parts: readonly Buffer[]): Promise<void> {
    const final = this.#place.enter(parts);
    const temporary = beside(final, this.#temporary);
    const fd = openSync(temporary, WRITE_NEW, 0o600);
    try {
      await this.#content(fd, member);
      this.#place.apply(fd, member);
      this.#rename(temporary, final, parts);
      this.#made.add(fstatSync(fd).ino);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  async #content(fd: number, member: Member): Promise<void> {
    const { pieces, rest } =
      member.sparse === undefined
        ? { pieces: [[0, member.size] as Piece], rest: undefined }
        : await readMap(this.#reader, member.sparse);
    if (member.sparse !== undefined) ftruncateSync(fd, member.sparse);
    let bytes = rest?.length === 0 ? undefined : rest;
    for (const [start, length] of pieces) {
      for (let done = 0; done < length; ) {
        bytes ??= await this.#reader.content();
        if (bytes === undefined) throw damaged("a file is shorter than its map says");
        const count = Math.min(bytes.length, length - done);
        this.bytes += count;
        if (this.bytes > this.#options.limits.bytes) throw tooMuch(`${this.#options.limits.bytes} bytes`);
        writeAll(fd, bytes.subarray(0, count), start + done);
        this.#options.onProgress?.(count);
        done += count;
        bytes = count === bytes.length ? undefined : bytes.subarray(count);
      }
    }
    if (bytes !== undefined || (await this.#reader.content()) !== undefined) {
      throw damaged("a file is longer than its map says");
    }
  }

  #link(member: Member, parts: readonly Buffer[]): void {
    using source = this.#place.find(components(member.link));
    const final = this.#place.enter(parts);
    const temporary = beside(final, this.#temporary);
    // link(2) does not follow a symbolic link.
    linkSync(source.path, temporary);
    try {
      if (!this.#made.has(lstatSync(temporary).ino)) throw foreign(member);
      this.#rename(temporary, final, parts);
    } finally {
      // rename(2) does nothing where both are names of one file.
      removeIfThere(temporary);
    }
  }

  #make(parts: readonly Buffer[], make: (path: Buffer) => void): void {
    const final = this.#place.enter(parts);
    const temporary = beside(final, this.#temporary);
    make(temporary);
    try {
      const { ino } = lstatSync(temporary);
      this.#rename(temporary, final, parts);
      this.#made.add(ino);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
  }

  #rename(temporary: Buffer, final: Buffer, parts: readonly Buffer[]): void {
    try {
      renameSync(temporary, final);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EISDIR" && code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
      throw this.#place.refuse(parts, "a directory is in its place", error);
    }
  }
}

const WRITE_NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

function beside(path: Buffer, name: Buffer): Buffer {
  return Buffer.concat([path.subarray(0, path.lastIndexOf(0x2f) + 1), name]);
}

/** Writes all of it at an offset. */
export function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
  }
}

function removeIfThere(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function foreign({ name, link }: Member): BangerError {
  return new BangerError(
    "guest_error",
    `the guest sent ${shownName(name)} as another name of ${shownName(link)}, which it has not sent`,
  );
}

function tooMuch(what: string): BangerError {
  return new BangerError("resource_exhausted", `the guest sent more than ${what}`, {
    cure: "if that is right, copy it in parts, or allow more with: banger cp --max-size SIZE",
  });
}
