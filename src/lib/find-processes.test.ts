import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { findAllByCommandLine } from "./find-processes.ts";
import { hasProgram, settledArguments } from "./process-arguments.ts";
import { findByCommandLine, identifyProcess, readCommandLine } from "./process-identity.ts";

const MARKER = `banger-find-${process.pid}`;

interface Sleeper extends AsyncDisposable {
  readonly pid: number;
  /** It has no arguments for so many looks, as in the middle of its execve(2). */
  read(bareLooks: number): (pid: number) => readonly string[];
}

async function startSleeper(
  [program, ...words]: readonly [string, ...string[]] = ["sleep", "60"],
): Promise<Sleeper> {
  const argv0 = program === "sleep" ? MARKER : program;
  const child = spawn(program, words, { argv0, stdio: "ignore" });
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

test("findAllByCommandLine() leaves those alone that only speak of the marker", async () => {
  await using named = await startSleeper();
  await using speaker = await startSleeper(["perl", "-e", "sleep 60", "--", "--id", MARKER, "-e", MARKER]);
  const pids = async (behind: readonly string[]): Promise<number[]> =>
    (await findAllByCommandLine(MARKER, { behind })).map(({ pid }) => pid);
  expect(await pids(["-name"])).toEqual([named.pid]);
  expect(new Set(await pids(["-name", "--id"]))).toEqual(new Set([named.pid, speaker.pid]));
  expect(findByCommandLine(MARKER, { behind: ["-name"] }).map(({ pid }) => pid)).toEqual([named.pid]);
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
