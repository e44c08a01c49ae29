/**
 * Reads the parts of 64-bit little-endian ELF files that banger needs: sections by name and notes. The input is
 * hostile: every offset is checked before it is used. Source: elf(5), System V gABI chapters 4 and 5.
 */
import { BangerError } from "../model/errors.ts";

const EM_X86_64 = 62;
const PT_NOTE = 4;
const SHT_NOBITS = 8;

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly description: Uint8Array;
}

/** An ELF64 file for x86-64. Holds the bytes it was made from; they must not change. */
export interface Elf {
  /** `e_type`: 1 relocatable (a module), 2 executable (a kernel). */
  readonly type: number;
  /** The bytes of the first section of that name. */
  section(name: string): Uint8Array | undefined;
  /** The notes of all PT_NOTE segments. */
  notes(): ElfNote[];
}

/** Errors: `invalid_argument` when the bytes are not such a file or point outside themselves. */
export function parseElf(bytes: Uint8Array, what: string): Elf {
  const reader = new ElfReader(bytes, what);
  if (reader.u32(0) !== 0x464c457f) throw reader.bad("it has no ELF magic");
  // e_ident: EI_CLASS 2 is 64-bit, EI_DATA 1 is little-endian.
  if (reader.u8(4) !== 2 || reader.u8(5) !== 1) throw reader.bad("it is not 64-bit little-endian");
  if (reader.u16(18) !== EM_X86_64) throw reader.bad("it is not for x86-64");
  return {
    type: reader.u16(16),
    section: (name) => findSection(reader, name),
    notes: () => readNotes(reader),
  };
}

class ElfReader {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly what: string;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.what = what;
  }

  bad(why: string): BangerError {
    return new BangerError("invalid_argument", `${this.what} is not a usable ELF file: ${why}`);
  }

  u8(offset: number): number {
    return this.view.getUint8(this.check(offset, 1));
  }

  u16(offset: number): number {
    return this.view.getUint16(this.check(offset, 2), true);
  }

  u32(offset: number): number {
    return this.view.getUint32(this.check(offset, 4), true);
  }

  /** A 64-bit value that must fit the file. */
  u64(offset: number): number {
    const value = this.view.getBigUint64(this.check(offset, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.bad("an offset is beyond its end");
    return Number(value);
  }

  slice(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(this.check(offset, length), offset + length);
  }

  private check(offset: number, length: number): number {
    if (offset + length > this.bytes.byteLength) throw this.bad("it is truncated");
    return offset;
  }
}

function findSection(reader: ElfReader, name: string): Uint8Array | undefined {
  const table = { offset: reader.u64(40), entrySize: reader.u16(58), count: reader.u16(60) };
  if (table.count === 0) return undefined;
  if (table.entrySize < 64) throw reader.bad("its section headers are too small");
  const header = (index: number): number => table.offset + index * table.entrySize;
  const namesIndex = reader.u16(62);
  if (namesIndex >= table.count) throw reader.bad("its section names are missing");
  const names = reader.slice(reader.u64(header(namesIndex) + 24), reader.u64(header(namesIndex) + 32));
  for (let index = 0; index < table.count; index++) {
    if (cString(names, reader.u32(header(index))) !== name) continue;
    if (reader.u32(header(index) + 4) === SHT_NOBITS) return new Uint8Array(0);
    return reader.slice(reader.u64(header(index) + 24), reader.u64(header(index) + 32));
  }
  return undefined;
}

function readNotes(reader: ElfReader): ElfNote[] {
  const table = { offset: reader.u64(32), entrySize: reader.u16(54), count: reader.u16(56) };
  if (table.count > 0 && table.entrySize < 56) throw reader.bad("its program headers are too small");
  const notes: ElfNote[] = [];
  for (let index = 0; index < table.count; index++) {
    const header = table.offset + index * table.entrySize;
    if (reader.u32(header) !== PT_NOTE) continue;
    const segment = new ElfReader(
      reader.slice(reader.u64(header + 8), reader.u64(header + 32)),
      "a note segment",
    );
    for (let offset = 0; offset + 12 <= segment.bytes.byteLength; ) {
      const nameSize = segment.u32(offset);
      const descriptionAt = offset + 12 + align4(nameSize);
      const descriptionSize = segment.u32(offset + 4);
      notes.push({
        name: cString(segment.slice(offset + 12, nameSize), 0),
        type: segment.u32(offset + 8),
        description: segment.slice(descriptionAt, descriptionSize),
      });
      offset = descriptionAt + align4(descriptionSize);
    }
  }
  return notes;
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** The text from `start` up to a NUL or the end; empty when `start` is outside. */
function cString(bytes: Uint8Array, start: number): string {
  const end = bytes.indexOf(0, start);
  return Buffer.from(bytes.subarray(start, end === -1 ? undefined : end)).toString("latin1");
}
