/**
 * One run that images-measure.ts measures, in a process of its own: does what its first argument says and prints what it took. Before
 * the measured part it prints a line and waits for one, so that whoever samples its memory knows when to begin.
 */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Images } from "../src/images/images.ts";
import { openLayer } from "../src/images/layers/layer-stream.ts";
import { indexLayer, mergeLayers } from "../src/images/layers/merge.ts";
import { DEFAULT_LIMITS, ImageBudget } from "../src/images/tar/limits.ts";
import { spawn, timed } from "./tools.ts";

const [what = "", ...args] = process.argv.slice(2);
const work = await prepare(what, args);
console.log("ready");
await once(process.stdin.resume(), "data");
process.stdin.destroy();
const bytesBefore = writtenBytes();
const cpuBefore = cpuMs();
const ms = await timed(work);
console.log(JSON.stringify({ ms, cpuMs: cpuMs() - cpuBefore, writtenBytes: writtenBytes() - bytesBefore }));

async function prepare(kind: string, given: readonly string[]): Promise<() => Promise<void>> {
  const out = given.at(-1) ?? "";
  const inputs = given.slice(0, -1);
  switch (kind) {
    case "sqfstar": {
      await rm(out, { force: true });
      const script = 'exec sqfstar -comp lz4 -no-progress -quiet "$2" < "$1"';
      return () => spawn(["sh", "-c", script, "sh", inputs[0] ?? "", out]);
    }
    case "gunzip-sqfstar": {
      await rm(out, { force: true });
      const script = 'gzip -dc "$1" | sqfstar -comp lz4 -no-progress -quiet "$2"';
      return () => spawn(["sh", "-c", script, "sh", inputs[0] ?? "", out]);
    }
    case "convert-indexed": {
      await rm(out, { force: true });
      const budget = new ImageBudget(DEFAULT_LIMITS);
      const layers = inputs.map(async (path) => {
        const layer = { path, name: path, diffId: undefined };
        return { ...layer, index: await indexLayer(openLayer(layer, { budget }), { ...layer, budget }) };
      });
      const indexed = await Promise.all(layers);
      return () => mergeLayers(indexed, out);
    }
    case "pull":
      return () => pull(inputs[0] ?? "", out);
    case "skopeo-umoci-mksquashfs":
      return () => pullWithTools(inputs[0] ?? "", out);
    default:
      throw new Error(`unknown: ${kind}`);
  }
}

async function pull(reference: string, dir: string): Promise<void> {
  const images = new Images({
    imagesDir: join(dir, "images"),
    cacheDir: join(dir, "cache"),
  });
  const { signal } = new AbortController();
  await images.pullReference(reference, { signal, onProgress: () => undefined });
}

async function pullWithTools(reference: string, dir: string): Promise<void> {
  const layout = join(dir, "layout");
  const from = `docker://${reference}`;
  await spawn([
    "skopeo",
    "copy",
    "--quiet",
    "--insecure-policy",
    "--src-tls-verify=false",
    from,
    `oci:${layout}:bench`,
  ]);
  await spawn(["umoci", "unpack", "--image", `${layout}:bench`, join(dir, "bundle")]);
  const options = ["-comp", "lz4", "-no-progress", "-quiet"];
  await spawn(["mksquashfs", join(dir, "bundle", "rootfs"), join(dir, "out.squashfs"), ...options]);
}

/** proc(5), /proc/PID/io: bytes that were sent to storage by this process and by the children that it waited for. */
function writtenBytes(): number {
  return Number(/^write_bytes: (\d+)$/mu.exec(readFileSync("/proc/self/io", "utf8"))?.[1] ?? 0);
}

/** proc_pid_stat(5): user and system time of this process (14, 15) and of the children that it waited for (16, 17), in ticks of 10 ms. */
function cpuMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return fields.slice(14 - 3, 18 - 3).reduce((sum, ticks) => sum + Number(ticks) * 10, 0);
}
