/**
 * One run of images-run.ts in a process of its own, measured from outside: bytes written are `write_bytes` of /proc/PID/io with all
 * children that were waited for; memory is the highest sum of VmRSS of the process and what it started, sampled every 20 ms.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type Sample, summarise } from "./stats.ts";
import { ROOT } from "./tools.ts";

const SAMPLE_MS = 20;

export interface Measured {
  readonly ms: number;
  /** User and system time, that of the programs it started too. */
  readonly cpuMs: number;
  readonly writtenBytes: number;
  readonly peakMib: number;
}

export async function measure(...args: readonly string[]): Promise<Measured> {
  const child = Bun.spawn([process.execPath, join(ROOT, "bench/images-run.ts"), ...args], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  let peakKib = 0;
  let sampler: ReturnType<typeof setInterval> | undefined;
  for await (const part of child.stdout) {
    text += Buffer.from(part).toString();
    if (sampler !== undefined || !text.startsWith("ready\n")) continue;
    void child.stdin.write("go\n");
    void child.stdin.end();
    sampler = setInterval(() => {
      peakKib = Math.max(peakKib, rssOfTree(child.pid));
    }, SAMPLE_MS);
  }
  clearInterval(sampler);
  if ((await child.exited) !== 0) throw new Error(`${args[0]} failed`);
  const own = JSON.parse(text.slice("ready\n".length)) as Omit<Measured, "peakMib">;
  return { ...own, peakMib: peakKib / 1024 };
}

export function summariseKey(all: readonly Measured[], key: "ms" | "cpuMs"): Sample {
  return summarise(all.map((one) => one[key]));
}

export function most(all: readonly Measured[], key: keyof Measured): number {
  return Math.max(...all.map((one) => one[key]));
}

/** KiB of the process and everything below it. A child that is not its program yet still has the memory of its parent. */
function rssOfTree(pid: number, parent?: string): number {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`);
    if (program === parent) return 0;
    const own = Number(/^VmRSS:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean),
    );
    return children.reduce((sum, child) => sum + rssOfTree(Number(child), program), own);
  } catch {
    return 0; // It ended while it was looked at.
  }
}
