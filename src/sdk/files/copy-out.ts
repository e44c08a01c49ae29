/** Copying from a guest to this host. The guest is not trusted: what it sends is held against what was asked for. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { BangerError } from "../../model/errors.ts";
import type { GuestFileFacts } from "../../model/guest-stream.ts";
import type { CopyJob, CopyResult, GuestAccess } from "./access.ts";
import { partialKey, RESUME_BYTES } from "./copy-in.ts";
import { shownName } from "./place.ts";
import { lookAtHost, seenInGuest } from "./places.ts";
import { type CopyPlan, planCopy } from "./rules.ts";
import { utimeOf } from "./times.ts";
import { type UnpackLimits, unpack, writeAll } from "./unpack.ts";

const DEFAULT_LIMITS: UnpackLimits = { entries: 5_000_000, bytes: 2 ** 40 };

export async function copyOut(files: GuestAccess, job: CopyJob): Promise<CopyResult> {
  const { guestPath, signal, archive = false, limits = DEFAULT_LIMITS } = job;
  const follow = job.follow === true || guestPath.endsWith("/");
  const source = await files.stat(guestPath, { follow, signal });
  const plan = planOntoHost(job, source);
  if (source.type === "file") {
    if (source.size > limits.bytes) {
      throw new BangerError(
        "resource_exhausted",
        `${guestPath} has ${source.size} bytes, more than the ${limits.bytes} allowed`,
        {
          cure: "allow more with: banger cp --max-size SIZE",
        },
      );
    }
    job.onTotal?.(source.size);
    const hasHoles = source.storedBytes < source.size;
    if (source.size >= RESUME_BYTES && !hasHoles) return await getFile(files, job, { source, plan });
  }
  const kind =
    source.type === "file" || source.type === "directory" || source.type === "symlink"
      ? source.type
      : undefined;
  if (kind === undefined) {
    throw new BangerError(
      "invalid_argument",
      `${guestPath} is a ${source.type}, which is not copied to a host`,
    );
  }
  const paths = [{ path: guestPath, name: plan.name }];
  await using stream = files.open(
    { type: "tar-out", paths, follow: job.follow === true || follow, special: false },
    { signal },
  );
  const unpacked = await unpack(stream.data(), {
    into: plan.directory,
    expect: plan.name === "." ? undefined : { name: plan.name, kind },
    archive,
    limits,
    onProgress: job.onProgress,
  });
  const { notes: said } = await stream.result;
  const theirs = Array.isArray(said) ? said.slice(0, 32).map((note) => shownName(String(note))) : [];
  return { entries: unpacked.entries, bytes: unpacked.bytes, notes: [...unpacked.notes, ...theirs] };
}

function planOntoHost({ guestPath, hostPath }: CopyJob, source: GuestFileFacts): CopyPlan {
  const target = lookAtHost(hostPath, true);
  // A link that leads to a file leads the copy there, as everywhere else.
  const path = target?.seen === "file" && !hostPath.endsWith("/") ? realpathSync(hostPath) : hostPath;
  const plan = planCopy({ path: guestPath, seen: seenInGuest(source) }, { path, seen: target?.seen });
  if (plan.into || lookAtHost(plan.directory, true)?.seen === "directory") return plan;
  throw new BangerError("not_found", `there is no directory ${plan.directory}`, { cure: "make it first" });
}

/** Fetches one file, from where an earlier attempt ended; what came waits beside its place. */
async function getFile(
  files: GuestAccess,
  job: CopyJob,
  { source, plan }: { readonly source: GuestFileFacts; readonly plan: CopyPlan },
): Promise<CopyResult> {
  const { size, mtimeMs, mode, uid, gid } = source;
  const final = join(plan.directory, plan.name);
  const key = partialKey([job.guestPath, size, mtimeMs, final]);
  const partial = join(plan.directory, `.banger-part-${key}`);
  const fd = openSync(partial, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const offset = Math.min(fstatSync(fd).size, size);
    ftruncateSync(fd, offset);
    job.onResumable?.(offset);
    if (offset > 0) job.onProgress?.(offset);
    let now: GuestFileFacts | undefined;
    const onMessage = (message: object): void => {
      if ("file" in message) now = message.file as GuestFileFacts;
    };
    await using stream = files.open(
      { type: "read", path: job.guestPath, offset },
      { signal: job.signal, onMessage },
    );
    let at = offset;
    for await (const piece of stream.data()) {
      if (now?.size !== size || now.mtimeMs !== mtimeMs) throw changed(job.guestPath);
      if (at + piece.length > size)
        throw new BangerError("guest_error", "the guest sent more than the file has");
      writeAll(fd, piece, at);
      at += piece.length;
      job.onProgress?.(piece.length);
    }
    await stream.result;
    if (at !== size) throw changed(job.guestPath);
    // Before the mode: a set-user-ID bit is its owner's, and goes with another (chown(2)).
    if (job.archive === true && process.getuid?.() === 0) fchownSync(fd, uid, gid);
    fchmodSync(fd, mode & (job.archive === true ? 0o7777 : 0o1777));
    const seconds = Math.floor(mtimeMs / 1000);
    const mtime = { seconds, nanoseconds: (mtimeMs - seconds * 1000) * 1e6 };
    futimesSync(fd, utimeOf(mtime), utimeOf(mtime));
    renameSync(partial, final);
    return { entries: 1, bytes: size - offset, notes: [] };
  } finally {
    // Where nothing came, there is nothing to go on with.
    if (fstatSync(fd).size === 0) rmSync(partial, { force: true });
    closeSync(fd);
  }
}

function changed(path: string): BangerError {
  return new BangerError("conflict", `${shownName(path)} changed while it was copied`, {
    cure: "copy it again",
  });
}
