/** Writes a root file system image as a tar: owners, modes, times, links, devices and extended attributes as they are. */
import { startProgram } from "../../lib/run-program.ts";

/**
 * The tar's bytes. Ends its program when the reader stops early. Errors: `unavailable` (sqfs2tar is missing), `internal`,
 * `cancelled`.
 */
export async function* exportRootfs(rootfsPath: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  // "." keeps what the root directory itself is (sqfs2tar(1), --root-becomes).
  const program = startProgram(["sqfs2tar", "--root-becomes", ".", rootfsPath], {
    stdout: "pipe",
    aptPackage: "squashfs-tools-ng",
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    if (program.stdout !== undefined) yield* program.stdout as AsyncIterable<Uint8Array>;
    await program.done;
  } finally {
    await program.stop();
  }
}
