import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { identifyProcess, type ProcessHandle } from "./process-identity.ts";
import { type ProcessWatch, watchProcess } from "./process-watch.ts";
import { settlesWithin } from "./settles-within.ts";

interface Sleeper extends AsyncDisposable {
  readonly handle: ProcessHandle;
  readonly watch: ProcessWatch;
}

async function startSleeper(): Promise<Sleeper> {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const exited = once(child, "exit");
  const handle = identifyProcess(child.pid ?? 0);
  if (handle === undefined) throw new Error("sleep did not start");
  const watch = await watchProcess(handle);
  if (watch === undefined) throw new Error("sleep is not watched");
  return {
    handle,
    watch,
    async [Symbol.asyncDispose]() {
      watch.release();
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** How many this process has open. */
function pidfds(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("pidfd");
    } catch {
      // It was that of the listing.
      return false;
    }
  }).length;
}

describe("watchProcess()", () => {
  test("tells the end of a process, and not before", async () => {
    await using sleeper = await startSleeper();
    expect(await settlesWithin(sleeper.watch.ended, 20)).toBe(false);
    expect(sleeper.watch.signal("SIGKILL")).toBe(true);
    await sleeper.watch.ended;
    expect(identifyProcess(sleeper.handle.pid)).toBeUndefined();
    expect(sleeper.watch.signal("SIGKILL")).toBe(false);
  });

  test("may have several watchers", async () => {
    await using sleeper = await startSleeper();
    const second = await watchProcess(sleeper.handle);
    sleeper.watch.signal("SIGKILL");
    await Promise.all([sleeper.watch.ended, second?.ended]);
  });

  test("says nothing after its release, and signals nobody", async () => {
    await using sleeper = await startSleeper();
    const before = pidfds();
    const second = await watchProcess(sleeper.handle);
    second?.release();
    second?.release();
    await new Promise(setImmediate);
    expect(second?.signal("SIGKILL")).toBe(false);
    expect(pidfds()).toBeLessThanOrEqual(before);
    expect(identifyProcess(sleeper.handle.pid)).toBeDefined();
  });

  test("finds nothing where the pid belongs to another process or none", async () => {
    await using sleeper = await startSleeper();
    const { handle } = sleeper;
    expect(await watchProcess({ ...handle, startTicks: handle.startTicks - 1 })).toBeUndefined();
    sleeper.watch.signal("SIGKILL");
    await sleeper.watch.ended;
    expect(await watchProcess(handle)).toBeUndefined();
  });
});
