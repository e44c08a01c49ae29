import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, type ProcessHandle } from "../lib/process-identity.ts";
import { BangerError } from "../model/errors.ts";
import { adoptHypervisor, spawnHypervisor } from "./hypervisor-process.ts";

class Scratch implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "banger-process-"));
  readonly logPath: string = join(this.path, "log");

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

const MARKER = "banger-test-process";

function start(logPath: string, script: string): ReturnType<typeof spawnHypervisor> {
  return spawnHypervisor({ program: "/bin/sh", args: ["-c", script, MARKER], logPath, inherit: [] });
}

/** In a process of its own: starts a hypervisor, writes its handle, and stays until it is killed. */
const PARENT = `
  const { spawnHypervisor } = await import(${JSON.stringify(join(import.meta.dir, "hypervisor-process.ts"))});
  const { handle } = await spawnHypervisor({
    program: "/bin/sleep", args: ["60"], argv0: "${MARKER}", logPath: process.argv[1], inherit: [],
  });
  console.log(JSON.stringify(handle));
  setInterval(() => undefined, 1000);
`;

describe("spawnHypervisor()", () => {
  test.each(["SIGKILL", "SIGHUP", "SIGINT"] as const)(
    "makes a process that survives the %s of whoever started it",
    async (signal) => {
      using scratch = new Scratch();
      const parent = spawn(process.execPath, ["-e", PARENT, scratch.logPath], {
        detached: true,
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [line] = (await once(parent.stdout, "data")) as [Uint8Array];
      const handle = JSON.parse(Buffer.from(line).toString()) as ProcessHandle;
      // The whole group, as a terminal does it.
      process.kill(-(parent.pid ?? 0), signal);
      await once(parent, "exit");
      const adopted = await adoptHypervisor({ handle, marker: MARKER, logPath: scratch.logPath });
      expect(isAlive(handle)).toBe(true);
      await adopted?.kill();
      expect(isAlive(handle)).toBe(false);
    },
  );

  test("tells how the process ended, with its last words in order and bounded", async () => {
    using scratch = new Scratch();
    const script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo last >&2; exit 7";
    const exit = await (await start(scratch.logPath, script)).exited;
    expect(exit).toMatchObject({ code: 7, signal: undefined });
    expect(exit.stderrTail).toEndWith("line 2999\nlast");
    expect(exit.stderrTail.length).toBeLessThanOrEqual(4096);
  });

  test("forgets what an earlier run logged", async () => {
    using scratch = new Scratch();
    await (await start(scratch.logPath, "echo one")).exited;
    expect((await (await start(scratch.logPath, "echo two")).exited).stderrTail).toBe("two");
    expect(readFileSync(scratch.logPath, "utf8")).toBe("two\n");
  });

  test("gives the process nothing of our environment, and the root directory", async () => {
    using scratch = new Scratch();
    process.env["BANGER_TEST_SECRET"] = "secret";
    try {
      const exit = await (await start(scratch.logPath, "pwd; env; cat")).exited;
      expect(exit.stderrTail.split("\n")[0]).toBe("/");
      expect(exit.stderrTail).not.toContain("secret");
    } finally {
      delete process.env["BANGER_TEST_SECRET"];
    }
  });

  test("is unavailable for a program that cannot be started", async () => {
    using scratch = new Scratch();
    const request = { program: "/nonexistent/program", args: [], logPath: scratch.logPath, inherit: [] };
    const error = await spawnHypervisor(request).then(
      () => undefined,
      (thrown: unknown) => BangerError.from(thrown),
    );
    expect(error?.code).toBe("unavailable");
    expect(error?.message).toContain("/nonexistent/program");
  });

  test("settles `exited` when its directory has been removed meanwhile", async () => {
    const scratch = new Scratch();
    const process = await start(scratch.logPath, "sleep 60");
    scratch[Symbol.dispose]();
    expect(existsSync(scratch.logPath)).toBe(false);
    await process.kill({ graceMs: 0 });
    expect((await process.exited).stderrTail).toBe("");
  });
});
