/** Synthetic inputs for the tests of this room: tiny ELF files, kernel images, tars. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Header, pack } from "tar-stream";
import { BangerError } from "../model/errors.ts";

/** A directory that is gone at the end of the scope. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
}

export async function createTemporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), "banger-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The BangerError that a promise rejects with; anything else fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (thrown: unknown) => thrown,
  );
  if (outcome instanceof BangerError) return outcome;
  throw new Error(`expected a BangerError, got ${Bun.inspect(outcome)}`);
}

export interface ElfParts {
  readonly sections?: Readonly<Record<string, Uint8Array>>;
  readonly notes?: readonly { readonly name: string; readonly type: number }[];
  /** Appended, to make the file larger. */
  readonly filler?: number;
}

/** A little ELF64 file for x86-64 with the given sections and one note segment. */
export function createElf(parts: ElfParts = {}): Buffer {
  const notes = Buffer.concat((parts.notes ?? []).map(encodeNote));
  const names = ["", ...Object.keys(parts.sections ?? {}), ".shstrtab"];
  const strings = Buffer.from(names.map((name) => `${name}\0`).join(""));
  const bodies = [Buffer.alloc(0), ...Object.values(parts.sections ?? {}), strings];
  const header = Buffer.alloc(64 + 56);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(bodies.length, 60);
  header.writeUInt16LE(bodies.length - 1, 62);
  header.writeUInt32LE(4, 64); // PT_NOTE
  header.writeBigUInt64LE(BigInt(header.length), 64 + 8);
  header.writeBigUInt64LE(BigInt(notes.length), 64 + 32);
  let offset = header.length + notes.length;
  let nameOffset = 0;
  const sectionHeaders = bodies.map((body, index) => {
    const entry = Buffer.alloc(64);
    entry.writeUInt32LE(nameOffset, 0);
    entry.writeUInt32LE(index === 0 ? 0 : 1, 4);
    entry.writeBigUInt64LE(BigInt(offset), 24);
    entry.writeBigUInt64LE(BigInt(body.length), 32);
    offset += body.length;
    nameOffset += (names[index] ?? "").length + 1;
    return entry;
  });
  header.writeBigUInt64LE(BigInt(offset), 40);
  return Buffer.concat([header, notes, ...bodies, ...sectionHeaders, Buffer.alloc(parts.filler ?? 0, 7)]);
}

/** A kernel that passes for one: an ELF file with the PVH note. */
export function createVmlinux(filler = 100_000): Buffer {
  return createElf({
    notes: [
      { name: "Linux", type: 257 },
      { name: "Xen", type: 18 },
    ],
    filler,
  });
}

/** A module that depends on others. */
export function createModule(depends: string): Buffer {
  return createElf({
    sections: { ".text": Buffer.from("code"), ".modinfo": Buffer.from(`license=GPL\0depends=${depends}\0`) },
  });
}

/** A bzImage around a compressed payload, with `sizeBytes` behind it unless the payload has its own (gzip). */
export function createBzImage(payload: Uint8Array, sizeBytes?: number): Buffer {
  const size = Buffer.alloc(sizeBytes === undefined ? 0 : 4);
  if (sizeBytes !== undefined) size.writeUInt32LE(sizeBytes);
  const setup = Buffer.alloc(1024);
  setup[0x1f1] = 1;
  setup.writeUInt32LE(0x53726448, 0x202);
  setup.writeUInt16LE(0x020f, 0x206);
  setup.writeUInt32LE(100, 0x248);
  setup.writeUInt32LE(payload.byteLength + size.length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(100, 1), payload, size, Buffer.alloc(50, 2)]);
}

export type TarEntry = Partial<Header> & Pick<Header, "name"> & { readonly content?: string };

/** A tar of the entries. */
export async function createTar(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) archive.entry(header, content ?? "");
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The bytes in pieces of the given size. */
export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

function encodeNote(note: { readonly name: string; readonly type: number }): Buffer {
  const name = Buffer.alloc(Math.ceil((note.name.length + 1) / 4) * 4);
  name.write(note.name);
  const head = Buffer.alloc(12);
  head.writeUInt32LE(note.name.length + 1, 0);
  head.writeUInt32LE(4, 4);
  head.writeUInt32LE(note.type, 8);
  return Buffer.concat([head, name, Buffer.alloc(4)]);
}
