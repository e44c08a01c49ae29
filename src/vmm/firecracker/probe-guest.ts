/** The probe guest as a kernel image. Its source, and what it does, is probe-guest.S. */

/** What probe-guest.S assembles to; the test beside this file assembles it again and compares. */
export const PROBE_CODE: Uint8Array = Buffer.from(
  "+vy8AP8AAA8BFCUQAhAAaghoGAAQAEjLZrgQAI7YjsCO0DHtMcC/AAABALkAFAAA86vHBCUAAAEAAxABAMcEJQAQAQADIAEAxwQlACAB" +
    "AAMwAQC/ADABALgDAAAAiQcFABAAAIPHCIH/AEABAHLuuAAAAQAPItjHBCXgQAEA2gEQAGbHBCXiQAEACABmxwQl5EABAACOZscEJeZA" +
    "AQAQAA8BHCUaAhAAMcAPooXAD4TwAAAAuAEAAIAPog+64h0Pg98AAABIvoGSf13D4aa0vwAAAgBIifhIMfBIiQeBxwAQAACB/wAABgBy" +
    "6b8AAAIASIn4SDHwSDkHD4WlAAAAgccAEAAAgf8AAAYAcuO/AAACAOilAAAADwE8JQAAGADopQAAAL8AEAIA6I4AAAAPATwlAAAYAOiO" +
    "AAAAvwAgAgDodwAAAA8g2A8i2Oh5AAAASMcEJQA8AQAAAAAADwE8JQAAGAC/ADACAOhbAAAAhe10Mg8g4A0AAgAADyLgZkgPbsZmD9TA" +
    "ZkgPfsBIjRQ2SDnQdRC5AAAAAf/Jdfy+JAIQAOsFvkECEABmuvgDrITAdAPu6/iw/uZk9Ov9SI1HA0iJBCUAPAEAw0iJ+Egx8Eg5BCUA" +
    "ABgAdcvDDyDVSIH9AAAYAHW+SMcEJQA8AQADMAIASIPECEjPAAAAAAAAAAD//wAAAJuvAP//AAAAk88AFwD4ARAAAAAAAO8AAEABAAAA" +
    "AABiYW5nZXI6IHRoZSBwcm9iZSBndWVzdCByYW4KAGJhbmdlcjogdGhlIHByb2JlIGd1ZXN0IHNhdyB3cm9uZyByZXN1bHRzCgA=",
  "base64",
);

/** What the guest says on its serial port when it found everything in order. */
export const PROBE_WORDS = "banger: the probe guest ran";
/** What it says when it ran and saw wrong results. */
export const PROBE_BROKEN_WORDS = "banger: the probe guest saw wrong results";

/** Firecracker takes no kernel that starts below the first megabyte (HIMEM_START in its arch/x86_64/layout.rs). */
const LOAD_ADDRESS = 0x100000;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

/** A 64-bit ELF executable (elf(5)) that loads `code` at 1 MiB and starts at its first byte. */
export function createProbeKernel(code: Uint8Array = PROBE_CODE): Uint8Array {
  const offset = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;
  const file = new Uint8Array(offset + code.byteLength);
  const view = new DataView(file.buffer);
  const long = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // magic, 64-bit, little-endian, version 1
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true); // version
  long(24, LOAD_ADDRESS); // entry
  long(32, ELF_HEADER_BYTES); // program headers
  view.setUint16(52, ELF_HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, 1, true);
  view.setUint32(ELF_HEADER_BYTES, 1, true); // PT_LOAD
  view.setUint32(ELF_HEADER_BYTES + 4, 5, true); // readable, executable
  const fields = [offset, LOAD_ADDRESS, LOAD_ADDRESS, code.byteLength, code.byteLength, 0x1000];
  for (const [index, value] of fields.entries()) long(ELF_HEADER_BYTES + 8 + 8 * index, value);
  file.set(code, offset);
  return file;
}
