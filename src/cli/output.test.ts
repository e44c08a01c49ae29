import { expect, test } from "bun:test";
import { join } from "node:path";

/** Runs `script`, which has the module's exports, and reads its stdout only when it has written. */
async function outputOf(script: string): Promise<{ stdout: string; stderr: string; code: number }> {
  const module = JSON.stringify(join(import.meta.dir, "output.ts"));
  const child = Bun.spawn(
    [
      process.execPath,
      "-e",
      `import { writeOutput, flushOutput, stdout } from ${module}; import { closeSync } from "node:fs"; ${script}`,
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { stdout: out, stderr: err, code: await child.exited };
}

test("writeOutput() keeps the order of short and long writes, more than a pipe holds", async () => {
  const { stdout, code } = await outputOf(`
    for (let i = 0; i < 40; i++) void writeOutput(1, String(i % 10).repeat(i % 3 === 0 ? 90_000 : 500));
    await flushOutput();
    process.exit(0);`);
  const wanted = Array.from({ length: 40 }, (_, i) => String(i % 10).repeat(i % 3 === 0 ? 90_000 : 500));
  expect(code).toBe(0);
  expect(stdout === wanted.join("")).toBe(true);
});

test("writeOutput() waits for a reader that is slower", async () => {
  const { stdout } = await outputOf(`
    for (let i = 0; i < 100; i++) await writeOutput(1, "x".repeat(30_000));
    await flushOutput();
    process.exit(0);`);
  expect(stdout.length).toBe(3_000_000);
});

test("writeOutput() says what went wrong", async () => {
  const { stderr } = await outputOf(
    `closeSync(1); const error = await writeOutput(1, "lost"); await writeOutput(2, String(error?.code));`,
  );
  expect(stderr).toBe("EBADF");
});
