/** The probe guest: what its source assembles to, and that it can say yes and no. */
import { describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { createProbeKernel, PROBE_BROKEN_WORDS, PROBE_CODE, PROBE_WORDS } from "./probe-guest.ts";

function missing(programs: readonly string[], what: string): boolean {
  const absent = programs.filter((program) => findProgram(program) === undefined);
  if (absent.length > 0) console.warn(`skipped: ${what}, for want of ${absent.join(" and ")}`);
  return absent.length > 0;
}

test.skipIf(missing(["as", "objcopy"], "the probe guest is not assembled again"))(
  "the embedded guest code is what probe-guest.S assembles to",
  async () => {
    expect(await assemble("probe-guest.S")).toEqual(Buffer.from(PROBE_CODE));
  },
);

test("createProbeKernel() makes a file that an ELF reader understands", () => {
  const view = new DataView(createProbeKernel().buffer);
  expect(view.getBigUint64(24, true)).toBe(0x100000n);
  expect(view.getBigUint64(64 + 32, true)).toBe(BigInt(PROBE_CODE.byteLength));
});

describe.skipIf(missing(["as", "objcopy", "qemu-system-x86_64"], "the probe guest under emulation"))(
  "the probe guest under emulation",
  () => {
    test("says that it ran, and resets", async () => {
      expect(await run(PROBE_CODE)).toContain(PROBE_WORDS);
    });

    test("says so when it sees a wrong result", async () => {
      const code = Buffer.from(PROBE_CODE);
      const paddq = code.indexOf(Buffer.from("660fd4c0", "hex"));
      expect(paddq).toBeGreaterThan(0);
      code.set([0x66, 0x0f, 0xef, 0xc0], paddq); // pxor xmm0, xmm0
      const said = await run(code);
      expect(said).toContain(PROBE_BROKEN_WORDS);
      expect(said).not.toContain(PROBE_WORDS);
    });
  },
);

/** What the guest writes to its serial port until it resets the machine. */
async function run(code: Uint8Array): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "banger-emulate-"));
  try {
    const [rom, guest] = [join(directory, "rom"), join(directory, "guest")];
    const image = new Uint8Array(65_536);
    image.set(await assemble("testdata/enter-long-mode.S"), 0xf000);
    image.set([0xe9, 0x0d, 0xf0], 0xfff0); // from the reset vector back to it
    await Promise.all([writeFile(rom, image), writeFile(guest, code)]);
    const { stdout } = await runProgram([
      "qemu-system-x86_64",
      ..."-nodefaults -no-user-config -display none -no-reboot -M q35 -accel tcg -cpu max -m 16M".split(" "),
      "-bios",
      rom,
      "-device",
      `loader,file=${guest},addr=0x100000,force-raw=on`,
      "-serial",
      "stdio",
    ]);
    return Buffer.from(stdout).toString();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function assemble(source: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), "banger-assemble-"));
  try {
    const object = join(directory, "guest.o");
    const flat = join(directory, "guest.bin");
    await runProgram(["as", "--64", join(import.meta.dir, source), "-o", object]);
    await runProgram(["objcopy", "-O", "binary", "-j", ".text", object, flat]);
    return await readFile(flat);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
