/** The idle guest as a bootable kernel: an ELF file with a PVH note, made by hand. Its source is idle-guest.S. */

/** What idle-guest.S assembles to; a test assembles it again and compares. */
export const IDLE_CODE: Uint8Array = Buffer.from(
  "+vy+FgAQAGa6+AOshMB0A+7r+PTr/WlkbGUgZ3Vlc3QKAA==",
  "base64",
);

const LOAD_ADDRESS = 0x100000;
const ELF_HEADER_BYTES = 52;
const PROGRAM_HEADER_BYTES = 32;
const NOTE_BYTES = 20;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** XEN_ELFNOTE_PHYS32_ENTRY (Xen's public/elfnote.h): the PVH entry point. */
const PHYS32_ENTRY = 18;

/** A 32-bit ELF executable (elf(5)) that loads `code` at 1 MiB and names that as its PVH entry point. */
export function createPvhKernel(code: Uint8Array = IDLE_CODE): Uint8Array {
  const noteOffset = ELF_HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
  const codeOffset = noteOffset + NOTE_BYTES;
  const file = new Uint8Array(codeOffset + code.byteLength);
  const view = new DataView(file.buffer);
  const words = (offset: number, values: readonly number[]): void => {
    for (const [index, value] of values.entries()) view.setUint32(offset + 4 * index, value, true);
  };
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // magic, 32-bit, little-endian, version 1
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 3, true); // EM_386
  words(20, [1, LOAD_ADDRESS, ELF_HEADER_BYTES]); // version, entry, program headers
  view.setUint16(40, ELF_HEADER_BYTES, true);
  view.setUint16(42, PROGRAM_HEADER_BYTES, true);
  view.setUint16(44, 2, true);
  // Type, offset, virtual and physical address, size in file and in memory, flags, alignment.
  const size = code.byteLength;
  words(52, [PT_LOAD, codeOffset, LOAD_ADDRESS, LOAD_ADDRESS, size, size, 5, 4]);
  words(84, [PT_NOTE, noteOffset, 0, 0, NOTE_BYTES, NOTE_BYTES, 4, 4]);
  words(noteOffset, [4, 4, PHYS32_ENTRY]);
  file.set(Buffer.from("Xen\0"), noteOffset + 12);
  words(noteOffset + 16, [LOAD_ADDRESS]);
  file.set(code, codeOffset);
  return file;
}
