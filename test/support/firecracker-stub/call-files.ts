/** The files that the lists of calls speak of. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface CallFiles extends Disposable {
  /** Holds `kernel`, `initrd` and `disk`; gone after disposal. */
  readonly dir: string;
}

export function createCallFiles(): CallFiles {
  const dir = mkdtempSync(join(tmpdir(), "fc-files-"));
  writeFileSync(join(dir, "kernel"), haltingKernel());
  writeFileSync(join(dir, "initrd"), new Uint8Array(512));
  writeFileSync(join(dir, "disk"), new Uint8Array(4096));
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

const LOAD_ADDRESS = 0x1000000n;
const CODE_OFFSET = 4096;
/** cli; again: hlt; jmp again. */
const CODE = [0xfa, 0xf4, 0xeb, 0xfd];

/** The least that a loader takes for a kernel (elf(5)): one segment, whose code halts for ever. */
function haltingKernel(): Uint8Array {
  const file = Buffer.alloc(CODE_OFFSET + CODE.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(62, 18); // EM_X86_64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(LOAD_ADDRESS, 24);
  file.writeBigUInt64LE(64n, 32); // The program headers follow.
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // PT_LOAD
  file.writeUInt32LE(7, 68);
  file.writeBigUInt64LE(BigInt(CODE_OFFSET), 72);
  file.writeBigUInt64LE(LOAD_ADDRESS, 80);
  file.writeBigUInt64LE(LOAD_ADDRESS, 88);
  file.writeBigUInt64LE(BigInt(CODE.length), 96);
  file.writeBigUInt64LE(BigInt(CODE.length), 104);
  file.writeBigUInt64LE(4096n, 112);
  file.set(CODE, CODE_OFFSET);
  return file;
}
