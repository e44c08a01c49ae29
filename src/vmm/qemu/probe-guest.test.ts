import { describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { createProbeFirmware, PROBE_CODE } from "./probe-guest.ts";
import { IDLE_CODE } from "./testdata/idle-guest.ts";

const missing = ["as", "objcopy"].filter((program) => findProgram(program) === undefined);
if (missing.length > 0)
  console.warn(`skipped: guests are not assembled again, for want of ${missing.join(" and ")}`);

describe.skipIf(missing.length > 0)("the embedded guest code is what its source assembles to:", () => {
  test("probe-guest.S", async () => {
    expect(await assemble("probe-guest.S", "--64")).toBe(Buffer.from(PROBE_CODE).toString("base64"));
  });

  test("testdata/idle-guest.S", async () => {
    expect(await assemble("testdata/idle-guest.S", "--32")).toBe(Buffer.from(IDLE_CODE).toString("base64"));
  });
});

test("createProbeFirmware() puts a jump to the code at the reset vector", () => {
  const image = createProbeFirmware();
  expect(image).toHaveLength(65536);
  const displacement = new DataView(image.buffer).getInt16(0xfff1, true);
  expect(image[0xfff0]).toBe(0xe9);
  expect(0xfff3 + displacement).toBe(0xf000);
});

async function assemble(source: string, width: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "banger-assemble-"));
  try {
    const object = join(directory, "guest.o");
    const flat = join(directory, "guest.bin");
    await runProgram(["as", width, join(import.meta.dir, source), "-o", object]);
    await runProgram(["objcopy", "-O", "binary", "-j", ".text", object, flat]);
    return (await readFile(flat)).toString("base64");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
