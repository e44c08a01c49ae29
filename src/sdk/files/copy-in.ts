/** Copying from this host into a guest: a large file so that another attempt goes on, everything else as an archive. */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { BangerError } from "../../model/errors.ts";
import { type CopyJob, type CopyResult, count, type GuestAccess, send } from "./access.ts";
import { pack } from "./pack.ts";
import { joinPath, lookAtHost, planIntoGuest } from "./places.ts";

/** From here on a file is worth going on with. */
export const RESUME_BYTES: number = 32 * 1024 * 1024;
const PIECE = 256 * 1024;
const MAX_ID = 2 ** 32 - 2;

export async function copyIn(files: GuestAccess, job: CopyJob): Promise<CopyResult> {
  const { hostPath, guestPath, signal, archive = false } = job;
  const follow = job.follow === true || hostPath.endsWith("/");
  const source = lookAtHost(hostPath, follow);
  if (source === undefined) throw new BangerError("not_found", `${hostPath} is not there`);
  const plan = await planIntoGuest(files, {
    source: { path: hostPath, seen: source.seen },
    path: guestPath,
    signal,
  });
  const { size, blocks, uid, gid } = source.status;
  const owner = archive
    ? { uid: Math.min(Number(uid), MAX_ID), gid: Math.min(Number(gid), MAX_ID) }
    : { uid: 0, gid: 0 };
  if (source.seen === "file") job.onTotal?.(Number(size));
  if (source.seen === "file" && size >= RESUME_BYTES && blocks * 512n >= size) {
    const bytes = await putFile(files, job, { path: joinPath(plan.directory, plan.name), owner });
    return { entries: 1, bytes, notes: [] };
  }
  const notes: string[] = [];
  const content = pack(hostPath, plan.name, {
    follow: job.follow === true,
    onProgress: job.onProgress,
    onNote: (note) => void (notes.length < 32 && notes.push(note)),
  });
  const request = {
    type: "tar-in",
    path: plan.directory,
    ...owner,
    keepOwners: archive,
    special: archive,
  } as const;
  await using stream = files.open(request, { signal });
  const bytes = await send(stream, content);
  const { skipped = 0 } = await stream.result;
  if (skipped !== 0) notes.push(`${String(skipped)} devices were not made`);
  return { entries: count(await stream.result, "entries"), bytes, notes };
}

/** Sends one file, from where an earlier attempt ended. Returns the bytes sent now. */
async function putFile(
  files: GuestAccess,
  job: CopyJob,
  { path, owner }: { readonly path: string; readonly owner: { readonly uid: number; readonly gid: number } },
): Promise<number> {
  const fd = openSync(job.hostPath, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(fd, { bigint: true });
    const key = partialKey([status.dev, status.ino, status.size, status.mtimeNs, path]);
    const size = Number(status.size);
    const left = await files.statIfThere(`${path.slice(0, path.lastIndexOf("/"))}/.banger-part-${key}`, {
      signal: job.signal,
    });
    const offset = left?.type === "file" ? Math.min(left.size, size) : 0;
    job.onResumable?.(offset);
    if (offset > 0) job.onProgress?.(offset);
    const mode = Number(status.mode) & (job.archive === true ? 0o7777 : 0o1777);
    const mtimeMs = Number(status.mtimeNs / 1000n) / 1000;
    await using stream = files.open(
      { type: "put", path, mode, ...owner, mtimeMs, key, offset },
      { signal: job.signal },
    );
    const written = await send(stream, readPieces(fd, offset, size), job.onProgress);
    const after = fstatSync(fd, { bigint: true });
    if (written === size && after.mtimeNs === status.mtimeNs && after.size === status.size)
      return size - offset;
    throw new BangerError("conflict", `${job.hostPath} changed while it was copied`, {
      cure: "copy it again",
    });
  } finally {
    closeSync(fd);
  }
}

/** Names the content of a file: while it is the same, an attempt goes on with what an earlier one has left. */
export function partialKey(facts: readonly unknown[]): string {
  return createHash("sha256").update(facts.map(String).join("\0")).digest("hex").slice(0, 32);
}

async function* readPieces(fd: number, from: number, to: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE, to - at));
    const read = readSync(fd, piece, 0, piece.length, at);
    if (read === 0) return;
    yield piece.subarray(0, read);
    at += read;
  }
}
