/**
 * What was saved, on disk: `<id>/{disk.ext4, machine/{machine.json,state,memory}, workspace, saved.json}`, published whole or not at all, never
 * written afterwards. `saved.json` has the hash of each file.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { hashSparse } from "../lib/hash-sparse.ts";
import { publishDirectory, temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import { BangerError } from "../model/errors.ts";
import type { SavedMachine } from "../model/saved.ts";

export const DISK = "disk.ext4";
export const MACHINE = "machine";
/** What the host keeps of the VM's workspace; not every VM has one. */
export const WORKSPACE = "workspace";
const DESCRIPTION = "saved.json";
const FORMAT = 1;

/** Whatever `saved.json` says beside the files. */
export type SavedFacts = Readonly<Record<string, string | number>>;

const Description = z.strictObject({
  format: z.literal(FORMAT),
  diskMib: z.int().min(1),
  facts: z.record(z.string().max(64), z.union([z.string().max(4096), z.number()])),
  files: z.record(z.string().regex(/^(?:machine\/)?[a-z0-9.]{1,32}$/), z.string().regex(/^[0-9a-f]{64}$/)),
  /** The hash of the rest. */
  check: z.string(),
});

export interface Saved extends SavedMachine {
  readonly dir: string;
  readonly facts: SavedFacts;
  /** What it takes of the host's disk. */
  readonly sizeBytes: number;
}

interface Filled {
  readonly diskMib: number;
  readonly facts: SavedFacts;
}

export class SavedFiles {
  readonly #dir: string;
  /** What the files looked like when their hashes were found to be right, by id. */
  readonly #verified = new Map<string, string>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Saves what `fill` writes into the directory that it is given: `machine/` or not, and the disk. When it throws, or the daemon ends,
   * nothing is there. Errors: those of `fill`, `resource_exhausted`.
   */
  async publish(id: string, fill: (dir: string) => Promise<Filled>): Promise<Saved> {
    await publishDirectory(this.#dir, async (dir) => {
      const filled = await fill(dir);
      const files: Record<string, string> = {};
      for (const name of fileNames(dir)) files[name] = await hashSparse(join(dir, name));
      const rest = { diskMib: filled.diskMib, facts: filled.facts, files };
      const description = { format: FORMAT, ...rest, check: checkOf(rest) };
      await writeFile(join(dir, DESCRIPTION), `${JSON.stringify(description, undefined, 1)}\n`, {
        mode: 0o600,
      });
      return id;
    });
    this.#verified.set(id, fingerprint(this.path(id)));
    return this.read(id);
  }

  path(id: string): string {
    return join(this.#dir, id);
  }

  /** Errors: `failed_precondition` when it is not there or not whole. */
  read(id: string): Saved {
    const dir = this.path(id);
    const { diskMib, facts, files } = describe(dir);
    const machineDir = `${MACHINE}/state` in files ? join(dir, MACHINE) : undefined;
    const sizeBytes = Object.keys(files).reduce((sum, name) => sum + allocated(join(dir, name)), 0);
    const workspaceFile = WORKSPACE in files ? join(dir, WORKSPACE) : undefined;
    return { id, dir, machineDir, diskPath: join(dir, DISK), diskMib, workspaceFile, facts, sizeBytes };
  }

  /** What is captured into a directory that is nobody's but the caller's, unhashed. */
  unpublished(dir: string, diskMib: number): SavedMachine {
    return { id: "unpublished", machineDir: join(dir, MACHINE), diskPath: join(dir, DISK), diskMib };
  }

  /** Compares every file with its hash, unless that was done and none looks changed. Errors: `failed_precondition`. */
  async verify(id: string): Promise<void> {
    const dir = this.path(id);
    const { files } = describe(dir);
    const looks = fingerprint(dir);
    if (this.#verified.get(id) === looks) return;
    for (const [name, hash] of Object.entries(files)) {
      if ((await hashSparse(join(dir, name)).catch(() => "")) !== hash)
        throw notWhole(dir, `${name} is damaged`);
    }
    this.#verified.set(id, looks);
  }

  /** Removes it in one step: a crash leaves all of it, or something that nobody finds. Safe to repeat. */
  async remove(id: string): Promise<void> {
    this.#verified.delete(id);
    const doomed = join(this.#dir, temporaryName());
    try {
      await rename(this.path(id), doomed);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    await removeTree(doomed);
  }
}

function fileNames(dir: string): readonly string[] {
  const machine = ["machine.json", "state", "memory"].map((name) => `${MACHINE}/${name}`);
  const has = (name: string): boolean => statSync(join(dir, name), { throwIfNoEntry: false }) !== undefined;
  return [DISK, ...(has(MACHINE) ? machine : []), ...(has(WORKSPACE) ? [WORKSPACE] : [])];
}

function describe(dir: string): z.infer<typeof Description> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(dir, DESCRIPTION), "utf8"));
  } catch (cause) {
    throw notWhole(dir, `${DESCRIPTION} cannot be read`, cause);
  }
  const parsed = Description.safeParse(value);
  if (!parsed.success) throw notWhole(dir, `${DESCRIPTION} is damaged`, parsed.error);
  const { diskMib, facts, files, check } = parsed.data;
  if (check !== checkOf({ diskMib, facts, files })) throw notWhole(dir, `${DESCRIPTION} is damaged`);
  return parsed.data;
}

function checkOf(rest: Omit<z.infer<typeof Description>, "format" | "check">): string {
  return createHash("sha256").update(JSON.stringify(rest)).digest("hex");
}

/** Changes whenever a file is replaced or written. */
function fingerprint(dir: string): string {
  return [DESCRIPTION, ...fileNames(dir)]
    .map((name) => {
      const found = statSync(join(dir, name), { throwIfNoEntry: false });
      return found === undefined ? "none" : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`;
    })
    .join("\n");
}

function allocated(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}

function notWhole(dir: string, why: string, cause?: unknown): BangerError {
  return new BangerError("failed_precondition", `what was saved in ${dir} cannot be used: ${why}`, {
    cure: "remove it, and save anew",
    cause,
  });
}
