/** Runs every test suite and ends with one line of their sum. Arguments narrow the TypeScript tests: paths or -t patterns. */
import { join } from "node:path";
import { differences, hostTables } from "../test/support/host-tables.ts";

const ROOT = join(import.meta.dir, "..");
/** Real guests boot under software emulation, and the first test builds kernel and image. */
const TIMEOUT_MS = 240_000;

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const narrowed = process.argv.slice(2);
const tables = await lookAtTables();
const suites: Counts[] = [
  await runSuite(
    [
      process.execPath,
      "test",
      // What failed, and why, is all that there is to read.
      "--only-failures",
      `--timeout=${TIMEOUT_MS}`,
      ...(narrowed.length > 0 ? narrowed : ["src", "test"]),
    ],
    countBun,
  ),
  ...(narrowed.length > 0
    ? []
    : [await runSuite(["cargo", "test", "--quiet", "--locked"], countCargo, "agent")]),
  await compareTables(tables),
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

/** Undefined where this user may not look. */
async function lookAtTables(): Promise<string[] | undefined> {
  try {
    return await hostTables();
  } catch (error) {
    console.warn(`skipped: the host's network before and after: ${String(error)}`);
    return undefined;
  }
}

/** The host's links, routes and rules are the same before and after the suite. */
async function compareTables(before: readonly string[] | undefined): Promise<Counts> {
  if (before === undefined) return { passed: 0, failed: 0, skipped: 1 };
  const changes = differences(before, await hostTables());
  if (changes.length === 0) return { passed: 1, failed: 0, skipped: 0 };
  console.error(`the host's network is not what it was before the suite:\n${changes.join("\n")}`);
  return { passed: 0, failed: 1, skipped: 0 };
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
