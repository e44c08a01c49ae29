/**
 * Builds a root file system image from a tar stream with squashfs-tools: read-only, compressed, owners kept,
 * no root needed. LZ4, because a guest under emulation pays for every cycle of decompression (HOST-NOTES,
 * "Images").
 */
import { runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";

/**
 * sqfstar ignores the archive's own entry for `/` and would make it writable for everybody. 4.5.1 heeds only
 * the mode and takes the calling user as owner; guests do not see it, because the root of an overlay has the
 * attributes of its upper layer.
 */
const ROOT_OPTIONS: readonly string[] = ["-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"];

/**
 * For sqfstar's queues. Its default is a quarter of the host's memory, of which it fills half a gigabyte; with less it is
 * not slower.
 */
const MEMORY = "24M";

export interface SquashfsOptions {
  /**
   * Becomes the time of creation of the image and of `/`, and what later times are set back to, so that equal
   * inputs give equal files (SOURCE_DATE_EPOCH, reproducible-builds.org; `-root-time` of squashfs-tools 4.5.1
   * has no effect).
   */
  readonly epochSeconds: number;
  readonly signal?: AbortSignal;
}

/**
 * Reads the tar to its end and writes the image to `path`, which must not exist. On failure the file may be
 * there in part; the caller removes it. An error of the stream passes through. Errors: `unavailable` (sqfstar
 * is missing), `resource_exhausted`, `invalid_argument` (sqfstar does not accept the archive), `cancelled`.
 */
export async function createSquashfs(
  tar: AsyncIterable<Uint8Array>,
  path: string,
  options: SquashfsOptions,
): Promise<void> {
  const { epochSeconds, signal } = options;
  await runProgram(
    ["sqfstar", "-comp", "lz4", "-no-progress", "-quiet", "-mem", MEMORY, ...ROOT_OPTIONS, path],
    {
      ...(signal === undefined ? {} : { signal }),
      env: { SOURCE_DATE_EPOCH: String(epochSeconds) },
      stdin: tar,
      stdout: "ignore",
      aptPackage: "squashfs-tools",
      failure: (end) =>
        end.stderrTail.includes("No space left")
          ? new BangerError("resource_exhausted", `no space left for ${path}`, {
              cure: "free space with: banger prune",
            })
          : new BangerError(
              "invalid_argument",
              `cannot make a root file system of the archive: ${end.stderrTail}`,
            ),
    },
  );
}
