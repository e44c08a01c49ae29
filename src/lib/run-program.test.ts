import { describe, expect, test } from "bun:test";
import { BangerError } from "../model/errors.ts";
import { findProgram, runProgram, startProgram } from "./run-program.ts";

async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BangerError);
  return error as BangerError;
}

async function* chunksOf(size: number, count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield new Uint8Array(size);
}

describe("runProgram()", () => {
  test("returns what the program wrote", async () => {
    const result = await runProgram(["printf", "%s|%s", "a b", "$HOME"]);
    expect(Buffer.from(result.stdout).toString()).toBe("a b|$HOME");
  });

  test("feeds stdin with back-pressure", async () => {
    const result = await runProgram(["wc", "-c"], { stdin: chunksOf(65536, 200) });
    expect(Buffer.from(result.stdout).toString().trim()).toBe(String(65536 * 200));
  });

  test("names the package of a missing program", async () => {
    const error = await failureOf(runProgram(["banger-no-such-program"], { aptPackage: "some-package" }));
    expect(error.code).toBe("unavailable");
    expect(error.cure).toBe("apt-get install some-package");
  });

  test("carries the last words and the exit code of a failed program", async () => {
    const script = "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3";
    const error = await failureOf(runProgram(["sh", "-c", script]));
    expect(error.code).toBe("internal");
    expect(error.details["exitCode"]).toBe(3);
    expect(error.message).toEndWith("line 1999");
    expect(error.message.length).toBeLessThan(4300);
  });

  test("lets the caller translate a failure", async () => {
    const error = await failureOf(
      runProgram(["false"], {
        failure: (end) => new BangerError("invalid_argument", `bad: ${end.exitCode}`),
      }),
    );
    expect(error.message).toBe("bad: 1");
  });

  test("gives a caller each line of stderr", async () => {
    const lines: string[] = [];
    await runProgram(["sh", "-c", "printf 'one\\ntwo\\nrest' >&2"], {
      onStderrLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(["one", "two", "rest"]);
  });

  test("an error of the source wins and ends the program", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      throw new BangerError("invalid_argument", "bad source");
    }
    expect((await failureOf(runProgram(["cat"], { stdin: broken() }))).message).toBe("bad source");
  });

  test("a program that stops reading and succeeds does not hide an error at the source's end", async () => {
    async function* late(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(65536, 20);
      throw new BangerError("invalid_argument", "late");
    }
    expect((await failureOf(runProgram(["true"], { stdin: late() }))).message).toBe("late");
    await runProgram(["true"], { stdin: chunksOf(65536, 20) });
  });

  test("a program that fails while it is fed says why", async () => {
    const error = await failureOf(
      runProgram(["sh", "-c", "echo full >&2; exit 1"], { stdin: chunksOf(65536, 50) }),
    );
    expect(error.message).toContain("full");
  });

  test("refuses more output than it can hold", async () => {
    const error = await failureOf(runProgram(["head", "-c", "20M", "/dev/zero"]));
    expect(error.message).toContain("more than");
  });
});

describe("an aborted program", () => {
  test("is gone with its children when the promise has rejected", async () => {
    const controller = new AbortController();
    const program = startProgram(["sh", "-c", "sleep 300 & echo ready; wait"], {
      stdout: "pipe",
      signal: controller.signal,
    });
    // The grandchild holds the pipe too: the stream and `done` can end only when it has.
    for await (const _ of program.stdout as AsyncIterable<Uint8Array>) controller.abort();
    expect((await failureOf(program.done)).code).toBe("cancelled");
  });

  test("that ignores TERM is killed after the grace", async () => {
    const controller = new AbortController();
    const program = startProgram(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], {
      stdout: "pipe",
      signal: controller.signal,
      graceMs: 50,
    });
    program.stdout?.once("data", () => controller.abort());
    program.stdout?.resume();
    expect((await failureOf(program.done)).code).toBe("cancelled");
  });

  test("rejects with the reason when that is one of ours", async () => {
    const reason = new BangerError("timeout", "too slow");
    const error = await failureOf(runProgram(["sleep", "60"], { signal: AbortSignal.abort(reason) }));
    expect(error).toBe(reason);
  });
});

test("findProgram() searches the sbin directories", () => {
  expect(findProgram("sh")).toMatch(/\/sh$/u);
  expect(findProgram("banger-no-such-program")).toBeUndefined();
});
