import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { parseElf } from "./elf.ts";

/** An ELF64 header with one PT_NOTE program header and no sections. */
function createNoteFile(): Buffer {
  const file = Buffer.alloc(64 + 56 + 20);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(1, 16);
  file.writeUInt16LE(62, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(4, 64);
  file.writeBigUInt64LE(120n, 72);
  file.writeBigUInt64LE(20n, 96);
  file.writeUInt32LE(4, 120);
  file.writeUInt32LE(4, 124);
  file.writeUInt32LE(18, 128);
  file.write("Xen\0", 132);
  file.writeUInt32LE(0x1000000, 136);
  return file;
}

describe("parseElf()", () => {
  test("reads notes", () => {
    const [note] = parseElf(createNoteFile(), "it").notes();
    expect(note?.name).toBe("Xen");
    expect(note?.type).toBe(18);
    expect(note?.description).toEqual(Buffer.from([0, 0, 0, 1]));
  });

  test("finds no section in a file without any", () => {
    expect(parseElf(createNoteFile(), "it").section(".text")).toBeUndefined();
  });

  test("refuses every truncation", () => {
    const file = createNoteFile();
    for (let size = 0; size < file.length; size++) {
      expect(() => parseElf(file.subarray(0, size), "it").notes()).toThrow(BangerError);
    }
  });

  test("throws nothing but refusals, whatever the bytes are", () => {
    const change = fc.tuple(fc.nat(139), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const hostile = createNoteFile();
        for (const [offset, value] of changes) hostile[offset] = value;
        try {
          const elf = parseElf(hostile, "it");
          elf.notes();
          elf.section(".modinfo");
        } catch (error) {
          if (!(error instanceof BangerError)) throw error;
        }
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});
