import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  findByCommandLine,
  identifyProcess,
  isAlive,
  parseProcessStat,
  readBootId,
  readCommandLine,
} from "./process-identity.ts";

describe("parseProcessStat()", () => {
  test("reads past a name with brackets and spaces", () => {
    const tail = "S 1 7 7 0 -1 4194304 1 2 3 4 11 22 5 6 20 0 1 0 98765 1 2";
    expect(parseProcessStat(`7 (a) R (b) ${tail}`)).toEqual({
      state: "S",
      userTicks: 11,
      systemTicks: 22,
      startTicks: 98765,
    });
  });
});

describe("a process identity", () => {
  test("is that of a live process and of no later one", () => {
    const handle = identifyProcess(process.pid);
    if (handle === undefined) throw new Error("this process does not run");
    expect(handle.bootId).toBe(readBootId());
    expect(isAlive(handle)).toBe(true);
    expect(isAlive({ ...handle, startTicks: handle.startTicks + 1 })).toBe(false);
    expect(isAlive({ ...handle, bootId: "another" })).toBe(false);
  });

  test("ends when the process does, reaped or not", async () => {
    // The shell's child ends at once, and the shell that it becomes never reaps it.
    const parent = spawn("sh", ["-c", "true & echo $!; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const [line] = (await once(parent.stdout, "data")) as [Uint8Array];
      const zombie = Number(Buffer.from(line).toString());
      expect(zombie).toBeGreaterThan(0);
      while (identifyProcess(zombie) !== undefined) await new Promise(setImmediate);
      expect(identifyProcess(zombie)).toBeUndefined();
    } finally {
      parent.kill("SIGKILL");
      await once(parent, "exit");
    }
    expect(identifyProcess(parent.pid ?? 0)).toBeUndefined();
    expect(readCommandLine(parent.pid ?? 0)).toEqual([]);
  });
});

test("findByCommandLine() finds a process by a whole argument only", async () => {
  const marker = `banger-test-${process.pid}`;
  const child = spawn("sleep", ["60"], { argv0: marker, stdio: "ignore" });
  try {
    while (readCommandLine(child.pid ?? 0).length === 0) await new Promise(setImmediate);
    expect(findByCommandLine(marker).map((found) => found.pid)).toEqual([child.pid ?? 0]);
    expect(findByCommandLine(marker.slice(0, -1))).toEqual([]);
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  expect(findByCommandLine(marker)).toEqual([]);
});
