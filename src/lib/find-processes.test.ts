import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { findAllByCommandLine } from "./find-processes.ts";
import { hasProgram, settledArguments } from "./process-arguments.ts";
import { identifyProcess, readCommandLine } from "./process-identity.ts";

const MARKER = `banger-find-${process.pid}`;

interface Sleeper extends AsyncDisposable {
  readonly pid: number;
  /** It has no arguments for so many looks, as in the middle of its execve(2). */
  read(bareLooks: number): (pid: number) => readonly string[];
}

async function startSleeper(): Promise<Sleeper> {
  const child = spawn("sleep", ["60"], { argv0: MARKER, stdio: "ignore" });
  const exited = once(child, "exit");
  const pid = child.pid ?? 0;
  const handle = identifyProcess(pid);
  if (handle !== undefined) await settledArguments(handle);
  return {
    pid,
    read: (bareLooks) => {
      let looks = 0;
      return (asked) => {
        if (asked === pid && (looks += 1) <= bareLooks) return [];
        return readCommandLine(asked);
      };
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

test("findAllByCommandLine() finds a process by a whole argument only", async () => {
  await using sleeper = await startSleeper();
  expect((await findAllByCommandLine(MARKER)).map(({ pid }) => pid)).toEqual([sleeper.pid]);
  expect(await findAllByCommandLine(MARKER.slice(0, -1))).toEqual([]);
  expect(await findAllByCommandLine(MARKER, { isOurs: () => false })).toEqual([]);
});

test("findAllByCommandLine() waits for the arguments of one that is in the middle of execve(2)", async () => {
  await using sleeper = await startSleeper();
  const found = await findAllByCommandLine(MARKER, { read: sleeper.read(5) });
  expect(found.map(({ pid }) => pid)).toEqual([sleeper.pid]);
});

test("findAllByCommandLine() leaves out one that ends before it has arguments", async () => {
  await using sleeper = await startSleeper();
  const read = sleeper.read(Number.POSITIVE_INFINITY);
  const found = findAllByCommandLine(MARKER, { read });
  process.kill(sleeper.pid, "SIGKILL");
  expect(await found).toEqual([]);
});

test("settledArguments() waits for no process that never has any: one that is gone, and a kernel thread", async () => {
  const sleeper = await startSleeper();
  const handle = identifyProcess(sleeper.pid);
  if (handle === undefined) throw new Error("sleep does not run");
  expect(await settledArguments(handle)).toEqual([MARKER, "60"]);
  await sleeper[Symbol.asyncDispose]();
  expect(await settledArguments(handle)).toEqual([]);
  expect(hasProgram(sleeper.pid)).toBe(false);
  expect(hasProgram(process.pid)).toBe(true);
});
