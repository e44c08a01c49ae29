import { describe, expect, test } from "bun:test";
import { accessSync, constants } from "node:fs";
import { findProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { KvmTrial } from "../kvm-verdict.ts";
import { type ProbeOptions, runProbeGuest } from "./kvm-probe.ts";
import { createProbeFirmware, PROBE_CODE } from "./probe-guest.ts";

const program = findProgram("qemu-system-x86_64");
if (program === undefined) console.warn("skipped: the KVM probe, for want of qemu-system-x86_64");

function probe(options: Partial<ProbeOptions> = {}): Promise<KvmTrial> {
  // Emulation on a busy machine takes longer than the second that hardware gets.
  return runProbeGuest({ program: program ?? "", accelerator: "tcg", deadlineMs: 20_000, ...options });
}

describe.skipIf(program === undefined)("the probe guest", () => {
  test("works under emulation, which shows that it can say yes", async () => {
    expect(await probe()).toEqual({ works: true });
  });

  test("that is corrupted says no", async () => {
    // Without its descriptor of 64-bit code, entering long mode is a triple fault, which resets the machine.
    const code = Buffer.from(PROBE_CODE);
    const descriptor = code.indexOf(Buffer.from("ffff0000009baf00", "hex"));
    expect(descriptor).toBeGreaterThan(0);
    code.fill(0, descriptor, descriptor + 8);
    expect(await probe({ firmware: createProbeFirmware(code) })).toEqual({
      works: false,
      timedOut: false,
      words: "the guest crashed",
    });
  });

  test("that sees a wrong result says so", async () => {
    const code = Buffer.from(PROBE_CODE);
    const pattern = Buffer.from("81927f5dc3e1a6b4", "hex");
    // The pattern that memory is compared with, changed after it was written: paddq finds it.
    const paddq = code.indexOf(Buffer.from("660fd4c0", "hex"));
    expect(code.includes(pattern)).toBe(true);
    expect(paddq).toBeGreaterThan(0);
    code.set([0x66, 0x0f, 0xef, 0xc0], paddq); // pxor xmm0, xmm0
    expect(await probe({ firmware: createProbeFirmware(code) })).toEqual({
      works: false,
      timedOut: false,
      words: "the guest saw wrong results",
    });
  });

  test("that hangs is ended at the deadline", async () => {
    const firmware = createProbeFirmware(Uint8Array.of(0xeb, 0xfe)); // jmp to itself
    expect(await probe({ firmware, deadlineMs: 300 })).toMatchObject({ works: false, timedOut: true });
  });

  test("that never gets a hypervisor says what is missing", async () => {
    const error = await probe({ program: "qemu-system-nonesuch" }).then(
      () => undefined,
      (thrown: unknown) => BangerError.from(thrown),
    );
    expect(error).toMatchObject({ code: "unavailable", cure: "apt-get install qemu-system-x86" });
  });
});

describe.skipIf(program === undefined || !canOpenKvm())("the probe guest under KVM", () => {
  test("gives a verdict, and soon", async () => {
    const since = performance.now();
    const trial = await runProbeGuest({ program: program ?? "", accelerator: "kvm" });
    expect(performance.now() - since).toBeLessThan(20_000);
    if (!trial.works) expect(trial.words).not.toBe("");
  });
});

function canOpenKvm(): boolean {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    console.warn(`skipped: the probe guest under KVM (${(error as Error).message})`);
    return false;
  }
}
