/**
 * Takes the `vmlinux` out of a `bzImage` and checks that a hypervisor can start it. Sources:
 * Documentation/x86/boot.rst (the real-mode kernel header), arch/x86/boot/compressed/Makefile (the size at
 * the payload's end), xen/include/public/elfnote.h and xen/docs/misc/pvh.pandoc (the PVH entry note).
 */
import { decompressBytes, detectCompression } from "../lib/decompress.ts";
import { parseElf } from "../lib/elf.ts";
import { BangerError } from "../model/errors.ts";

/** A vmlinux above this is refused; Debian's cloud kernel has 53 MB. */
const VMLINUX_LIMIT_BYTES = 512 * 1024 * 1024;
/** XEN_ELFNOTE_PHYS32_ENTRY: the 32-bit entry point of a PVH boot. */
const PVH_ENTRY_NOTE = 18;

/**
 * The uncompressed kernel of a bzImage; bytes that are an ELF file already come back as they are. Errors:
 * `invalid_argument` (no kernel, damaged, without a PVH entry), `unsupported` (a compression that is unknown
 * here), `unavailable` (the decompressing program is missing).
 */
export async function extractVmlinux(
  image: Uint8Array,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  const isElf = image[0] === 0x7f && image[1] === 0x45;
  const vmlinux = isElf ? image : await decompressPayload(findPayload(image), options.signal);
  validateVmlinux(vmlinux);
  return vmlinux;
}

/** The compressed payload of a bzImage, with the size that its build has put behind it. */
export function findPayload(image: Uint8Array): Uint8Array {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const bad = (why: string): BangerError =>
    new BangerError("invalid_argument", `the kernel image is not a usable bzImage: ${why}`);
  // The header ends with pref_address etc.; payload_length at 0x24c is the last field that is read.
  if (image.byteLength < 0x250) throw bad("it is too short");
  if (view.getUint32(0x202, true) !== 0x53726448) throw bad('it has no "HdrS" magic');
  if (view.getUint16(0x206, true) < 0x0208) throw bad("its boot protocol is older than 2.08");
  // "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
  const setupSectors = view.getUint8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + view.getUint32(0x248, true);
  const length = view.getUint32(0x24c, true);
  if (length < 8 || start + length > image.byteLength) throw bad("its payload lies outside the file");
  return image.subarray(start, start + length);
}

/** Errors: `invalid_argument` when it is not an ELF64 kernel for x86-64 with a PVH entry. */
export function validateVmlinux(vmlinux: Uint8Array): void {
  const notes = parseElf(vmlinux, "the kernel").notes();
  if (!notes.some((note) => note.name === "Xen" && note.type === PVH_ENTRY_NOTE)) {
    throw new BangerError("invalid_argument", "the kernel has no PVH entry point", {
      cure: "use a kernel that was built with CONFIG_PVH=y",
    });
  }
}

async function decompressPayload(payload: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const compression = detectCompression(payload);
  if (compression === undefined) {
    const magic = Buffer.from(payload.subarray(0, 6)).toString("hex");
    throw new BangerError(
      "unsupported",
      `the kernel image is compressed in an unknown way (magic ${magic})`,
      {
        cure: "use a kernel compressed with gzip, xz, lz4 or zstd",
      },
    );
  }
  // The build appends the uncompressed size, except for gzip, whose own trailer ends with it.
  const sizeAt = payload.byteLength - 4;
  const data = compression === "gzip" ? payload : payload.subarray(0, sizeAt);
  const sizeBytes = new DataView(payload.buffer, payload.byteOffset).getUint32(sizeAt, true);
  if (sizeBytes > VMLINUX_LIMIT_BYTES) {
    throw new BangerError("invalid_argument", `the kernel claims a size of ${sizeBytes} bytes`);
  }
  const vmlinux = await decompressBytes(data, compression, {
    what: "the kernel image",
    limitBytes: sizeBytes,
    ...(signal === undefined ? {} : { signal }),
  });
  if (vmlinux.byteLength !== sizeBytes) {
    throw new BangerError("invalid_argument", "the kernel image is damaged: its size is not what it says");
  }
  return vmlinux;
}
