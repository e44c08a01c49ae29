/** handles.json: what names the live things of a VM. Written before anything relies on it; not flushed, for what it names ends with the host. */
import { readFileSync, rmSync } from "node:fs";
import { z } from "zod";
import type { Layout } from "../host/layout.ts";
import { replaceFile } from "../lib/durable-file.ts";
import type { DriverHandles } from "../vmm/port.ts";

const HandlesSchema: z.ZodType<DriverHandles> = z.strictObject({
  driver: z.string(),
  machineId: z.string(),
  process: z.strictObject({ pid: z.int().min(1), startTicks: z.int().min(0), bootId: z.string() }),
  sockets: z.record(z.string(), z.string()),
});

export function writeHandles(layout: Layout, id: string, handles: DriverHandles): void {
  replaceFile(layout.handles(id), `${JSON.stringify(handles, null, 2)}\n`);
}

/** The handles of a VM; undefined when there are none or the file makes no sense (a crash may leave it stale, never torn). */
export function readHandles(layout: Layout, id: string): DriverHandles | undefined {
  try {
    const parsed = HandlesSchema.safeParse(JSON.parse(readFileSync(layout.handles(id), "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // Missing or not JSON: both mean that there is nothing to believe; whoever asks then looks at the processes.
    return undefined;
  }
}

/** Safe to repeat. */
export function removeHandles(layout: Layout, id: string): void {
  rmSync(layout.handles(id), { force: true });
}
