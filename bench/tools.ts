/** What the benchmarks share: running commands that must succeed, and a clock around them. */
import { join } from "node:path";
import type { CliResult, RealHome } from "../test/support/real-home.ts";

export const ROOT: string = join(import.meta.dir, "..");

export async function must(home: RealHome, args: readonly string[]): Promise<CliResult> {
  const result = await home.banger(args);
  if (result.code !== 0) throw new Error(`banger ${args.join(" ")}: ${result.stderr}`);
  return result;
}

export async function spawn(argv: string[]): Promise<void> {
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed`);
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}
