/** Volumes after a start of the daemon: files and records are brought into agreement, and nothing that holds data is removed. */
import { rm, stat } from "node:fs/promises";
import { removeLeftovers } from "../lib/publish.ts";
import { BangerError } from "../model/errors.ts";
import { MAX_DISK_BYTES, MIN_DISK_BYTES } from "./disks.ts";
import type { VolumeFiles } from "./volume-files.ts";
import type { VolumeOptions } from "./volumes.ts";

/**
 * Ends what a crash cut off: a file that was not recorded yet, or had been given up, goes; one that got its record, or still has it, gets its
 * name. A file whose record was lost gets a new one, and is called `recovered-ID`; a record that says less than its file has says so no more.
 * Only before anybody is served. One that cannot be settled is the log's, and the others are settled.
 */
export async function sweepVolumes(options: VolumeOptions, files: VolumeFiles): Promise<void> {
  const { store, directory, log } = options;
  await removeLeftovers(directory);
  const known = new Map(store.volumes.list().map((volume) => [volume.id, volume.sizeBytes]));
  const each = async (ids: readonly string[], settle: (id: string) => Promise<void>): Promise<void> => {
    for (const id of ids) {
      await settle(id).catch((error: unknown) => {
        log.error(
          { file: options.path(id), err: error },
          "a volume's file could not be settled; it stays as it is",
        );
      });
    }
  };
  await each(files.unrecordedIds(), async (id) => {
    if (known.has(id)) files.recorded(id);
    else await rm(files.unrecorded(id), { force: true });
  });
  await each(files.ids(), async (id) => {
    const sizeBytes = known.get(id);
    if (sizeBytes === undefined) await takeBack(options, id);
    else await demandSize(options, { id, sizeBytes });
  });
}

/** Errors: `failed_precondition` for a file that is no volume, `already_exists` (name). */
async function takeBack({ store, path, log }: VolumeOptions, id: string): Promise<void> {
  const { size, mtimeMs } = await stat(path(id));
  if (size % 4096 !== 0 || size < MIN_DISK_BYTES || size > MAX_DISK_BYTES) {
    throw new BangerError("failed_precondition", `a file of ${size} bytes is no volume`);
  }
  const name = `recovered-${id}`;
  store.volumes.insert({ id, name, sizeBytes: size, createdAt: Math.round(mtimeMs) });
  log.warn({ file: path(id), volume: name }, "a volume had no record; it was taken back under a new name");
}

/** A growth that was cut off before its record, or an older record. */
async function demandSize(
  { store, path }: VolumeOptions,
  { id, sizeBytes }: { readonly id: string; readonly sizeBytes: number },
): Promise<void> {
  const { size } = await stat(path(id));
  if (size > sizeBytes && size % 4096 === 0 && size <= MAX_DISK_BYTES) store.volumes.resize(id, size);
}
