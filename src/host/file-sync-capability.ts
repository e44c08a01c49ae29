/** `file_sync`: at each start, files of the host are written into the guest, so that it always has them as they are now. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Capability } from "../model/capability.ts";
import { BangerError } from "../model/errors.ts";
import type { FileSyncEntry } from "../model/file-sync.ts";

/** Settings and keys, not data. */
export const MAX_SYNC_BYTES: number = 16 * 1024 * 1024;

/** Read at once: what the channel sends in one frame. */
const PIECE_BYTES = 65_536;

export interface FileSyncOptions {
  readonly entries: readonly FileSyncEntry[];
  /** Hears of files that are not there. A start never fails for them. */
  readonly onMissing: (id: string, problem: string) => void;
}

export function createFileSyncCapability({ entries, onMissing }: FileSyncOptions): Capability {
  return {
    name: "file sync",
    async preflight() {
      // Refused before anything is booted; what changes until the guest is there is found out then.
      for (const { host } of entries) await (await openSource(host))?.close();
    },
    async started(vm, guest, { onProgress }) {
      for (const entry of entries) {
        await using file = await openSource(entry.host);
        if (file === undefined) {
          const problem = `${entry.host} is missing`;
          onProgress({ event: "note", text: `file_sync: ${problem}` });
          onMissing(vm.id, problem);
          continue;
        }
        const content = piecesOf(file, entry.host);
        await guest.writeFile(entry.guest, { mode: entry.mode, content }).catch((error: unknown) => {
          throw explain(entry, BangerError.from(error));
        });
      }
    },
  };
}

/** The open file; undefined when there is none. Errors: `failed_precondition`, naming it, for what cannot be synced. */
async function openSource(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    // A pipe in its place would be waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw refuse(path, `cannot be read: ${message}`, error);
  }
  try {
    const status = await file.stat();
    if (!status.isFile()) throw refuse(path, "is not a file");
    if (status.size > MAX_SYNC_BYTES) throw tooLarge(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What it holds, also when it grows meanwhile. Errors: `failed_precondition` above the limit, or when it cannot be read. */
async function* piecesOf(file: FileHandle, path: string): AsyncGenerator<Uint8Array> {
  let total = 0;
  for (;;) {
    const { bytesRead, buffer } = await readPiece(file, path);
    if (bytesRead === 0) return;
    total += bytesRead;
    if (total > MAX_SYNC_BYTES) throw tooLarge(path);
    yield buffer.subarray(0, bytesRead);
  }
}

async function readPiece(file: FileHandle, path: string): Promise<{ bytesRead: number; buffer: Uint8Array }> {
  try {
    return await file.read(new Uint8Array(PIECE_BYTES), 0, PIECE_BYTES, null);
  } catch (error) {
    throw refuse(path, `cannot be read: ${(error as Error).message}`, error);
  }
}

/** What the guest says names its path only. */
function explain({ host }: FileSyncEntry, error: BangerError): BangerError {
  if (error.code === "cancelled" || error.details["file"] === host) return error;
  return new BangerError(
    error.code,
    `file_sync: ${host} cannot be written into the guest: ${error.message}`,
    {
      cause: error,
      details: { ...error.details, file: host },
    },
  );
}

function tooLarge(path: string): BangerError {
  return refuse(path, `has more than the ${MAX_SYNC_BYTES / 1024 / 1024} MiB that are copied at a start`);
}

function refuse(path: string, what: string, cause?: unknown): BangerError {
  return new BangerError("failed_precondition", `file_sync: ${path} ${what}`, {
    cure: "change the file, or remove its entry from file_sync in config.toml and restart the daemon: banger daemon restart",
    details: { file: path },
    ...(cause === undefined ? {} : { cause }),
  });
}
