/**
 * The initramfs: banger's agent as `/init`, and the kernel modules with the order in which it loads them.
 * Images are never modified; this is all that a guest needs to find its root file system.
 */
import { createHash } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type CpioEntry, createCpio } from "../lib/cpio.ts";
import { publishFile } from "../lib/publish.ts";
import { BangerError } from "../model/errors.ts";
import { MODULES_ON_DEMAND } from "./kernel-modules.ts";
import type { Kernel } from "./kernel-store.ts";

/** Goes into the key; raised whenever the layout below changes. */
const LAYOUT = 2;

/** The agent's hash by what identifies the file's contents, so that a process reads it once. */
const agentHashes = new Map<string, string>();

export interface InitramfsOptions {
  /** The agent's static binary. */
  readonly agentPath: string;
  readonly kernel: Pick<Kernel, "id" | "modules">;
  /** The cache directory, created when absent. */
  readonly dir: string;
}

/**
 * The path of the initramfs for this agent and this kernel, `<dir>/initramfs-<key>.cpio`; it is built when it
 * is not there. Equal inputs give equal bytes. Safe to repeat and to run side by side. Errors: `unavailable`
 * (the agent has not been built), `resource_exhausted`.
 */
export async function createInitramfs(options: InitramfsOptions): Promise<string> {
  const key = createHash("sha256")
    .update(`${LAYOUT} ${await hashAgent(options.agentPath)} ${options.kernel.id}`)
    .digest("hex");
  const path = join(options.dir, `initramfs-${key}.cpio`);
  if (await isThere(path)) return path;
  const archive = createCpio(await initramfsEntries(options));
  await publishFile(path, (temporary) => writeFile(temporary, archive)).catch((error: unknown) => {
    // Someone else was first; the same key means the same bytes.
    if (!(error instanceof BangerError && error.code === "already_exists")) throw error;
  });
  return path;
}

async function initramfsEntries(options: InitramfsOptions): Promise<CpioEntry[]> {
  const directories = ["dev", "modules", "newroot", "proc", "run", "sys"];
  const names = options.kernel.modules.map((path) => basename(path));
  return [
    { kind: "file", path: "init", permissions: 0o755, bytes: await readFile(options.agentPath) },
    ...directories.map((path): CpioEntry => ({ kind: "directory", path, permissions: 0o755 })),
    // Without it process 1 starts with no standard streams (init/main.c, console_on_rootfs).
    { kind: "character-device", path: "dev/console", permissions: 0o600, major: 5, minor: 1 },
    {
      kind: "file",
      path: "modules/order",
      permissions: 0o644,
      bytes: Buffer.from(
        names
          .filter((name) => !MODULES_ON_DEMAND.includes(basename(name, ".ko")))
          .map((name) => `/modules/${name}\n`)
          .join(""),
      ),
    },
    ...(await Promise.all(
      options.kernel.modules.map(
        async (path): Promise<CpioEntry> => ({
          kind: "file",
          path: `modules/${basename(path)}`,
          permissions: 0o644,
          bytes: await readFile(path),
        }),
      ),
    )),
  ];
}

async function hashAgent(path: string): Promise<string> {
  const facts = await stat(path).catch((error: unknown) => {
    throw new BangerError("unavailable", `the guest agent ${path} is not there`, {
      cure: "build it with: npm run build",
      cause: error,
    });
  });
  const identity = `${path} ${facts.dev}:${facts.ino} ${facts.size} ${facts.mtimeMs}`;
  const known = agentHashes.get(identity);
  if (known !== undefined) return known;
  const hash = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  agentHashes.set(identity, hash);
  return hash;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    },
  );
}
