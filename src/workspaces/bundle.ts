/**
 * What the host keeps of a workspace, as one file: it goes along with a VM that is saved. The length of a header (8 bytes), the header as
 * JSON, and the contents of the files in its order.
 */
import { lstatSync, readdirSync } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { syncTree } from "../lib/publish.ts";
import { BangerError } from "../model/errors.ts";
import { MAX_SUBMODULES, validateGuestPath, type WorkspaceRecord } from "../model/workspace.ts";

/** Far more than the repository of banger's own that a workspace has. */
const MAX_ENTRIES = 200_000;
const MAX_HEADER = 32 * 1024 * 1024;
const PIECE = 1024 * 1024;

const Text = z.string().max(8192);
const Path = Text.refine((path) =>
  path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0")),
);
const Oid = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);

const Record = z.strictObject({
  vm: Text,
  hostPath: Text,
  guestPath: Text.refine((path) => validateGuestPath(path) === path),
  head: Oid.optional(),
  tree: Oid,
  branch: Text.optional(),
  readonly: z.boolean(),
  includeUntracked: z.boolean(),
  depth: z.int().min(1).optional(),
  ownBranch: z.boolean(),
  ofRevision: z.boolean(),
  arrivedAtNs: z.string().regex(/^\d{1,20}$/),
  sentAt: z.number(),
  submodules: z
    .array(z.strictObject({ path: Path, head: Oid.optional(), tree: Oid, branch: Text.optional() }))
    .max(MAX_SUBMODULES)
    .readonly()
    .optional(),
});

const Header = z.strictObject({
  format: z.literal(1),
  record: Record,
  directories: z.array(Path).max(MAX_ENTRIES),
  files: z.array(z.tuple([Path, z.int().min(0)])).max(MAX_ENTRIES),
});
type Header = z.infer<typeof Header>;

/** Writes `file` of `record` and everything in `directory` but what is under way. Errors: `resource_exhausted`. */
export async function packBundle(record: WorkspaceRecord, directory: string, file: string): Promise<void> {
  const header: Header = { format: 1, record, directories: [], files: [] };
  list(directory, "", header);
  const bytes = Buffer.from(JSON.stringify(header));
  if (header.files.length + header.directories.length > MAX_ENTRIES || bytes.length > MAX_HEADER) {
    throw new BangerError("resource_exhausted", `${directory} holds too many files to be saved`, {
      cure: "take the work out with: banger workspace pull; then bring the work tree into a new VM",
    });
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  await using to = await open(file, "wx", 0o600);
  await to.writeFile(Buffer.concat([length, bytes]));
  for (const [name, size] of header.files) {
    await using from = await open(join(directory, name), "r");
    await copy({ from, at: 0, size }, to);
  }
}

/** Makes `directory`, which is not there, of a bundle, and flushes it. Errors: `failed_precondition`. */
export async function unpackBundle(file: string, directory: string): Promise<WorkspaceRecord> {
  await using from = await open(file, "r");
  const { header, end } = await readHeader(from, file);
  await mkdir(directory, { mode: 0o700 });
  for (const name of header.directories) await mkdir(join(directory, name), { mode: 0o700, recursive: true });
  let at = end;
  for (const [name, size] of header.files) {
    await mkdir(dirname(join(directory, name)), { mode: 0o700, recursive: true });
    await using to = await open(join(directory, name), "wx", 0o600);
    await copy({ from, at, size }, to);
    at += size;
  }
  await syncTree(directory);
  return header.record;
}

async function readHeader(from: FileHandle, file: string): Promise<{ header: Header; end: number }> {
  const length = Buffer.alloc(8);
  const { bytesRead } = await from.read(length, 0, 8, 0);
  const size = Number(length.readBigUInt64BE());
  if (bytesRead !== 8 || size > MAX_HEADER) throw damaged(file);
  const bytes = Buffer.alloc(size);
  const read = await from.read(bytes, 0, size, 8);
  if (read.bytesRead !== size) throw damaged(file);
  try {
    return { header: Header.parse(JSON.parse(bytes.toString())), end: 8 + size };
  } catch (error) {
    throw damaged(file, error);
  }
}

/** All names below, files with their sizes. Sync, so that nothing of it changes meanwhile. */
function list(top: string, prefix: string, header: Header): void {
  for (const entry of readdirSync(join(top, prefix), { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`;
    // A sync that a crash ended, or an export that runs.
    if (entry.name.startsWith(".tmp-")) continue;
    if (entry.isDirectory()) {
      header.directories.push(name);
      list(top, `${name}/`, header);
    } else if (entry.isFile()) header.files.push([name, lstatSync(join(top, name)).size]);
  }
}

interface Range {
  readonly from: FileHandle;
  readonly at: number;
  readonly size: number;
}

async function copy({ from, at, size }: Range, to: FileHandle): Promise<void> {
  for (let done = 0; done < size; ) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE, size - done));
    const { bytesRead } = await from.read(piece, 0, piece.length, at + done);
    if (bytesRead === 0) {
      throw new BangerError("failed_precondition", "what was kept of a workspace is not whole", {
        cure: "bring the work tree into a new VM",
      });
    }
    await to.writeFile(piece.subarray(0, bytesRead));
    done += bytesRead;
  }
}

function damaged(file: string, cause?: unknown): BangerError {
  return new BangerError("failed_precondition", `what was kept of a workspace in ${file} cannot be used`, {
    cure: "bring the work tree into a new VM",
    cause,
  });
}
