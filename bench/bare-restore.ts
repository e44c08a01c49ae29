/**
 * A process of its own that restores a template with QEMU alone, as often as there are directories, has each guest run `true`, and ends
 * them: `bare-restore ARGV.json TEMPLATE DIR...`.
 */
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import { parseExecResult } from "../src/guest/commands.ts";
import { copySparse } from "../src/lib/sparse-copy.ts";
import { startBareQemu } from "./bare-qemu.ts";

const [argvFile = "", template = "", ...dirs] = process.argv.slice(2);
const argv = JSON.parse(readFileSync(argvFile, "utf8")) as string[];

await Promise.all(dirs.map(restore));

async function restore(dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true });
  await copySparse(join(template, "disk.ext4"), join(dir, "disk.ext4"));
  const script = ["sh", "-c", 'exec "$@" 5<"$0"', join(template, "machine/state")];
  await using qemu = await startBareQemu([...script, ...argv], dir);
  const signal = new AbortController().signal;
  const agent = await Agent.connect(qemu.channel, { fresh: false, signal });
  // What was saved stands still until it is told that it is another machine, or that it is not.
  await agent.thaw();
  const spec = { argv: ["true"], env: {}, cwd: undefined, user: undefined, tty: undefined, timeoutMs: 0 };
  const stream = agent.exec("bare", spec, {});
  stream.sendEnd();
  parseExecResult(await stream.result);
  const closed = once(qemu.channel, "close");
  agent.close();
  await closed;
}
