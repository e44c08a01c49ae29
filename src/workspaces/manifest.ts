/** What was sent, file by file: what is still so in the guest was not changed there, and what is still so on the host need not be sent again. */
import { readFileSync } from "node:fs";
import { replaceFileDurably } from "../lib/durable-file.ts";
import { BangerError } from "../model/errors.ts";
import type { DiskState } from "./plan.ts";

export interface SentFile {
  /** Below the top of its repository. */
  readonly name: Buffer;
  readonly kind: "file" | "symlink";
  readonly executable: boolean;
  /** In the guest. */
  readonly size: number;
  /** In the guest. */
  readonly mtimeNs: bigint;
  /** On the host, when it was sent; undefined: it was sent as git has stored it. */
  readonly disk: DiskState | undefined;
  /** The guest's time when it was there, nanoseconds since 1970. */
  readonly arrivedNs: bigint;
}

/** Written aside and flushed; names are latin1 for bytes, and records end with NUL, which no name holds. */
export function writeManifest(path: string, files: Iterable<SentFile>): void {
  replaceFileDurably(path, [...files].map(encodeFile).join(""));
}

/** Errors: `failed_precondition` when it is not there, or damaged. */
export function readManifest(path: string): SentFile[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw damaged(path, error);
  }
  return text
    .split("\0")
    .slice(0, -1)
    .map((record) => parseFile(record, path));
}

function encodeFile({ name, kind, executable, size, mtimeNs, disk, arrivedNs }: SentFile): string {
  const mark = kind === "symlink" ? "l" : executable ? "x" : "f";
  const host = disk === undefined ? "-" : `${disk.size}:${disk.mtimeNs}:${disk.ctimeNs}:${disk.inode}`;
  return `${mark} ${arrivedNs} ${size} ${mtimeNs} ${host} ${name.toString("latin1")}\0`;
}

const RECORD = /^([lxf]) (\d+) (\d+) (-?\d+) (?:-|(\d+):(-?\d+):(-?\d+):(\d+)) (.+)$/s;

function parseFile(record: string, path: string): SentFile {
  const found = RECORD.exec(record);
  if (found === null) throw damaged(path);
  const [, mark, arrived, size, mtime, hostSize, hostMtime, hostCtime, inode, name] = found;
  const file = {
    name: Buffer.from(name ?? "", "latin1"),
    kind: mark === "l" ? ("symlink" as const) : ("file" as const),
    executable: mark === "x",
    size: Number(size),
    mtimeNs: BigInt(mtime ?? 0),
    arrivedNs: BigInt(arrived ?? 0),
  };
  if (hostSize === undefined) return { ...file, disk: undefined };
  const disk: DiskState = {
    kind: file.kind,
    executable: file.executable,
    size: Number(hostSize),
    mtimeNs: BigInt(hostMtime ?? 0),
    ctimeNs: BigInt(hostCtime ?? 0),
    inode: BigInt(inode ?? 0),
  };
  return { ...file, disk };
}

function damaged(path: string, cause?: unknown): BangerError {
  return new BangerError(
    "failed_precondition",
    `what was sent of the workspace is not known any more: ${path}`,
    {
      cure: "take the files out with: banger cp; then make the VM anew",
      cause,
    },
  );
}
