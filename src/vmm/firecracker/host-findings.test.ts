/** Which Firecracker, which jailer, which fence: found out, and said when it is not as it should be. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverReport } from "../port.ts";
import { createFirecrackerDriver, type FirecrackerDriverOptions } from "./driver.ts";

class Programs implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "fc-programs-"));

  constructor(firecracker: string, jailer?: string) {
    this.program("firecracker", firecracker);
    if (jailer !== undefined) this.program("jailer", jailer);
  }

  private program(name: string, output: string): void {
    const script = output === "" ? "exit 1" : `echo '${output}'; echo; echo '2026 log line'`;
    writeFileSync(join(this.dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  }

  async probe(more: Partial<FirecrackerDriverOptions> = {}): Promise<DriverReport> {
    return await createFirecrackerDriver({
      verdictCachePath: join(this.dir, "verdicts.json"),
      chrootBase: join(this.dir, "jails"),
      binary: join(this.dir, "firecracker"),
      jailerBinary: join(this.dir, "jailer"),
      kvm: { kind: "works" },
      isRoot: false,
      ...more,
    }).probe();
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }
}

describe("probe()", () => {
  test.each([
    ["Firecracker v1.7.0", "banger needs 1.8.0 or newer, and older than 2.0.0"],
    ["Firecracker v0.25.2", "banger needs 1.8.0 or newer"],
    ["Firecracker v2.0.0", "older than 2.0.0"],
    ["Firecracker v2.0.0-dev", "older than 2.0.0"],
    ["QEMU emulator version 7.2.0", "is not Firecracker"],
    ["Firecracker one point eight", "is not Firecracker"],
    ["", "--version failed"],
  ])("refuses a program that says %j", async (output, words) => {
    using programs = new Programs(output);
    expect(await programs.probe()).toMatchObject({
      available: false,
      driver: "firecracker",
      reason: expect.stringContaining(words),
      cure: expect.stringContaining("firecracker-microvm/firecracker/releases"),
    });
  });

  test.each([
    ["Firecracker v1.8.0", "1.8.0", false],
    ["Firecracker v1.16.1", "1.16.1", true],
    ["Firecracker v1.17.0-dev", "1.17.0-dev", true],
  ])("takes a program that says %j", async (output, version, snapshot) => {
    using programs = new Programs(output);
    expect(await programs.probe()).toMatchObject({
      available: true,
      version,
      accelerator: "kvm",
      machineType: "microvm",
      features: { pause: true, nics: true, nicRate: true, snapshot },
    });
  });

  test("names the cure when there is no Firecracker", async () => {
    using programs = new Programs("x");
    expect(await programs.probe({ binary: "firecracker-nonesuch" })).toMatchObject({
      available: false,
      reason: "the program firecracker-nonesuch is not installed",
    });
  });

  test("passes the verdict on KVM on", async () => {
    using programs = new Programs("Firecracker v1.13.1");
    const kvm = { kind: "absent", reason: "there is no /dev/kvm", cure: "switch it on" } as const;
    expect(await programs.probe({ kvm })).toEqual({
      available: false,
      driver: "firecracker",
      reason: "Firecracker needs KVM: there is no /dev/kvm",
      cure: "switch it on",
    });
  });

  test("says that without root there is no jailer", async () => {
    using programs = new Programs("Firecracker v1.16.0");
    const report = await programs.probe();
    expect(JSON.stringify(report)).toMatch(/without root there is no jailer|may not make user namespaces/);
    expect(await programs.probe({ jailer: "on" })).toMatchObject({
      available: false,
      reason: "the jailer needs root, and the daemon is an ordinary user",
    });
  });

  test("says as root when there is no jailer, and refuses when it was asked for", async () => {
    using programs = new Programs("Firecracker v1.16.0");
    expect(await programs.probe({ isRoot: true })).toMatchObject({
      available: true,
      notes: [expect.stringContaining("is not installed, so Firecracker runs as root")],
    });
    expect(await programs.probe({ isRoot: true, jailer: "on" })).toMatchObject({ available: false });
    expect(await programs.probe({ isRoot: true, jailer: "off" })).toMatchObject({
      available: true,
      notes: [expect.stringContaining('vmm.firecracker.jailer is "off"')],
    });
  });

  test("takes no jailer for Firecracker, also one that it has met as a jailer", async () => {
    using programs = new Programs("Firecracker v1.16.0", "Jailer v1.16.0");
    expect(await programs.probe({ isRoot: true })).toMatchObject({ available: true });
    expect(await programs.probe({ isRoot: true, binary: join(programs.dir, "jailer") })).toMatchObject({
      available: false,
      reason: expect.stringContaining("is not Firecracker"),
    });
  });

  test("takes a jailer of the same version only", async () => {
    using same = new Programs("Firecracker v1.16.0", "Jailer v1.16.0");
    expect(await same.probe({ isRoot: true })).toMatchObject({ available: true, notes: [] });
    using other = new Programs("Firecracker v1.16.0", "Jailer v1.15.0");
    expect(await other.probe({ isRoot: true })).toMatchObject({
      available: false,
      reason: expect.stringContaining("they have to be the same"),
    });
  });
});
