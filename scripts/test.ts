/** Runs every test suite and ends with one line of their sum. Arguments narrow the TypeScript tests: paths or -t patterns. */
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
/** Real guests boot under software emulation, and the first test builds kernel and image. */
const TIMEOUT_MS = 240_000;

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const narrowed = process.argv.slice(2);
const suites: Counts[] = [
  await runSuite(
    [
      process.execPath,
      "test",
      `--timeout=${TIMEOUT_MS}`,
      ...(narrowed.length > 0 ? narrowed : ["src", "test"]),
    ],
    countBun,
  ),
  ...(narrowed.length > 0
    ? []
    : [await runSuite(["cargo", "test", "--quiet", "--locked"], countCargo, "agent")]),
];
const sum = (key: keyof Counts): number => suites.reduce((total, suite) => total + suite[key], 0);
console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exitCode = sum("failed") === 0 ? 0 : 1;

/** Runs a suite, shows what it says, and counts. A suite that ends badly without a failure counts as one. */
async function runSuite(argv: string[], count: (output: string) => Counts, dir = "."): Promise<Counts> {
  const child = Bun.spawn(argv, { cwd: join(ROOT, dir), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    tee(child.stdout, process.stdout),
    tee(child.stderr, process.stderr),
  ]);
  const counts = count(out + err);
  const code = await child.exited;
  if (code === 0 && counts.passed > 0) return counts;
  return { ...counts, failed: Math.max(1, counts.failed) };
}

async function tee(from: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of from) {
    to.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** `bun test` closes with ` 12 pass`, ` 1 skip`, ` 0 fail`. */
function countBun(output: string): Counts {
  const last = (word: string): number =>
    Number([...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))].at(-1)?.[1] ?? 0);
  return { passed: last("pass"), failed: last("fail"), skipped: last("skip") + last("todo") };
}

/** Each cargo test binary closes with `test result: ok. 3 passed; 0 failed; 1 ignored; …`. */
function countCargo(output: string): Counts {
  const all = [...output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm)];
  const total = (index: number): number => all.reduce((n, match) => n + Number(match[index]), 0);
  return { passed: total(1), failed: total(2), skipped: total(3) };
}
