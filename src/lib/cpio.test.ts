import { describe, expect, test } from "bun:test";
import { type CpioEntry, createCpio } from "./cpio.ts";

const entries: readonly CpioEntry[] = [
  { kind: "file", path: "modules/b.ko", permissions: 0o644, bytes: Buffer.from("hello") },
  { kind: "directory", path: "modules", permissions: 0o755 },
  { kind: "character-device", path: "dev/console", permissions: 0o600, major: 5, minor: 1 },
  { kind: "directory", path: "dev", permissions: 0o755 },
];

/** Reads an archive back, field by field, as init/initramfs.c does. */
function readCpio(archive: Uint8Array): { path: string; fields: number[]; data: string }[] {
  const found = [];
  for (let offset = 0; ; ) {
    const text = Buffer.from(archive.subarray(offset, offset + 110)).toString();
    expect(text.slice(0, 6)).toBe("070701");
    const fields = Array.from({ length: 13 }, (_, index) =>
      Number.parseInt(text.slice(6 + index * 8, 14 + index * 8), 16),
    );
    const nameSize = fields[11] ?? 0;
    const size = fields[6] ?? 0;
    const path = Buffer.from(archive.subarray(offset + 110, offset + 110 + nameSize - 1)).toString();
    const dataAt = Math.ceil((offset + 110 + nameSize) / 4) * 4;
    if (path === "TRAILER!!!") return found;
    found.push({ path, fields, data: Buffer.from(archive.subarray(dataAt, dataAt + size)).toString() });
    offset = Math.ceil((dataAt + size) / 4) * 4;
  }
}

describe("createCpio()", () => {
  test("writes sorted entries that can be read back", () => {
    const found = readCpio(createCpio(entries));
    expect(found.map((entry) => entry.path)).toEqual(["dev", "dev/console", "modules", "modules/b.ko"]);
    expect(found.map((entry) => entry.fields[1])).toEqual([0o40755, 0o20600, 0o40755, 0o100644]);
    expect(found[1]?.fields.slice(9, 11)).toEqual([5, 1]);
    expect(found[3]?.data).toBe("hello");
  });

  test("gives the same bytes for the same entries in another order", () => {
    expect(createCpio(entries.toReversed())).toEqual(createCpio(entries));
  });

  test("refuses paths that leave the root or come twice", () => {
    for (const path of ["/etc", "a/../b", "", "a//b", "a\0b"]) {
      expect(() => createCpio([{ kind: "directory", path, permissions: 0o755 }])).toThrow("cannot put");
    }
    const twice: CpioEntry = { kind: "directory", path: "a", permissions: 0o755 };
    expect(() => createCpio([twice, twice])).toThrow("twice");
  });
});
