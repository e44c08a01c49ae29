import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findByCommandLine } from "../../lib/process-identity.ts";
import { findProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { processMarker } from "../port.ts";
import { type StartInput, startQemu } from "./start.ts";
import { createPvhKernel } from "./testdata/idle-guest.ts";

class Scratch implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "banger-start-"));
  readonly machine: Machine;

  constructor() {
    const kernelPath = join(this.path, "vmlinux");
    writeFileSync(kernelPath, createPvhKernel());
    this.machine = {
      id: `start-${process.pid}`,
      vcpus: 1,
      memoryMib: 64,
      kernelPath,
      initramfsPath: kernelPath,
      cmdline: [],
      disks: [],
      nics: [],
      consolePath: join(this.path, "console.log"),
    };
  }

  input(program: string, signal?: AbortSignal): StartInput {
    const sockets = { qmp: join(this.path, "qmp.sock"), agent: join(this.path, "agent.sock") };
    const openTap = async (_: string, tap: string): Promise<number> => {
      throw new Error(`${tap} is none of this machine's`);
    };
    return { program, accelerator: "tcg", sockets, logPath: join(this.path, "qemu.log"), openTap, signal };
  }

  expectNothingLeft(): void {
    expect(findByCommandLine(processMarker(this.machine.id))).toEqual([]);
    expect(readdirSync(this.path).filter((name) => name.endsWith(".sock"))).toEqual([]);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  return await promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => BangerError.from(error),
  );
}

const qemu = findProgram("qemu-system-x86_64");
if (qemu === undefined) console.warn("skipped: an aborted start of QEMU, for want of qemu-system-x86_64");

describe("startQemu()", () => {
  test.skipIf(qemu === undefined)("ends the process when it is aborted after the spawn", async () => {
    using scratch = new Scratch();
    const controller = new AbortController();
    const starting = failureOf(startQemu(scratch.machine, scratch.input(qemu ?? "", controller.signal)));
    // Everything up to and including the spawn has happened by the time startQemu returned its promise.
    expect(readdirSync(scratch.path)).toContain("qemu.log");
    controller.abort(new BangerError("timeout", "took too long"));
    expect(await starting).toMatchObject({ code: "timeout", message: "took too long" });
    scratch.expectNothingLeft();
  });

  test("has the words and the status of a hypervisor that ends before it is ready", async () => {
    using scratch = new Scratch();
    const error = await failureOf(startQemu(scratch.machine, scratch.input("/bin/false")));
    expect(error).toMatchObject({ code: "unavailable", message: "QEMU ended at once (status 1)" });
    scratch.expectNothingLeft();
  });

  test("leaves nothing when the program cannot be started", async () => {
    using scratch = new Scratch();
    expect((await failureOf(startQemu(scratch.machine, scratch.input("/nonexistent/qemu")))).code).toBe(
      "unavailable",
    );
    scratch.expectNothingLeft();
  });
});
