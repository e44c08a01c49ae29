/**
 * Reads a kernel and its modules out of a root directory, as packages install them: `/boot/vmlinuz-RELEASE`, `/lib/modules/RELEASE`.
 * The directory may be what a stranger's image holds: no symbolic link in it is followed.
 */
import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { decompressBytes, detectCompression } from "../lib/decompress.ts";
import { BangerError } from "../model/errors.ts";
import {
  canonicalName,
  type KernelModule,
  type ModuleSource,
  moduleNameFromPath,
  parseBuiltin,
} from "./kernel-modules.ts";

const KERNEL_LIMIT_BYTES = 512 * 1024 * 1024;
const MODULE_LIMIT_BYTES = 64 * 1024 * 1024;
const BUILTIN_LIMIT_BYTES = 4 * 1024 * 1024;
/** Files and directories below a module directory; Debian's largest has 5,000. */
const MAX_ENTRIES = 50_000;

/** The releases of the kernels in `root`/boot, the newest first. */
export async function kernelReleases(root: string): Promise<string[]> {
  if (!(await isDirectory(join(root, "boot")))) return [];
  const entries = await readdir(join(root, "boot"), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .flatMap(({ name }) => /^vmlinuz-([A-Za-z0-9.+~_-]{1,128})$/u.exec(name)?.[1] ?? [])
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
}

/** The kernel image of a release. Errors: `not_found`, `permission_denied`, `invalid_argument` (too large). */
export async function readKernelImage(root: string, release: string): Promise<Uint8Array> {
  return await readKernelFile(join(root, "boot", `vmlinuz-${release}`));
}

/** A file that may hold a kernel. Errors: as `readKernelImage`. */
export async function readKernelFile(path: string): Promise<Uint8Array> {
  return await readRegular(path, KERNEL_LIMIT_BYTES);
}

/** Where the modules of a release lie: in `/lib` or, where that is a link, in `/usr/lib`. Errors: `not_found`. */
export async function findModulesDir(root: string, release: string): Promise<string> {
  for (const parts of [
    ["usr", "lib", "modules", release],
    ["lib", "modules", release],
  ]) {
    if (await isChain(root, parts)) return join(root, ...parts);
  }
  throw new BangerError("not_found", `there are no modules of the kernel ${release} in /lib/modules`);
}

/** The modules below a directory that `depmod` would be given; each is read when it is asked for. */
export async function openModules(dir: string): Promise<ModuleSource> {
  const files = new Map<string, { readonly name: string; readonly path: string }>();
  let entries = 0;
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(at, { withFileTypes: true })) {
      entries += 1;
      if (entries > MAX_ENTRIES)
        throw new BangerError("invalid_argument", `${dir} has more than ${MAX_ENTRIES} entries`);
      const path = join(at, entry.name);
      const name = entry.isFile() ? moduleNameFromPath(entry.name) : undefined;
      if (name !== undefined) files.set(canonicalName(name), { name, path });
      else if (entry.isDirectory()) await walk(path);
    }
  };
  await walk(dir);
  const list = await readRegular(join(dir, "modules.builtin"), BUILTIN_LIMIT_BYTES).catch(
    (error: unknown) => {
      if (BangerError.from(error).code === "not_found") return new Uint8Array();
      throw error;
    },
  );
  const builtin = parseBuiltin(Buffer.from(list).toString());
  return {
    isBuiltin: (name) => builtin.has(name),
    async load(name): Promise<KernelModule | undefined> {
      const file = files.get(name);
      return file === undefined ? undefined : { name: file.name, bytes: await readModule(file) };
    },
  };
}

async function readModule({ name, path }: { name: string; path: string }): Promise<Uint8Array> {
  const bytes = await readRegular(path, MODULE_LIMIT_BYTES);
  const compression = detectCompression(bytes);
  if (compression === undefined) return bytes;
  const what = `the kernel module ${name}`;
  return await decompressBytes(bytes, compression, { what, limitBytes: MODULE_LIMIT_BYTES });
}

async function readRegular(path: string, limitBytes: number): Promise<Uint8Array> {
  // Not blocking: opening a fifo waits for its writer.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR")
      throw new BangerError("not_found", `there is no file ${path}`, { cause: error });
    if (code === "EACCES")
      throw new BangerError("permission_denied", `cannot read ${path}`, {
        cure: `let this user read it, or copy it: sudo install -m 0644 ${path} DIRECTORY`,
        cause: error,
      });
    if (code === "ELOOP") throw new BangerError("invalid_argument", `${path} is a symbolic link`);
    throw error;
  });
  try {
    const facts = await file.stat();
    if (!facts.isFile()) throw new BangerError("invalid_argument", `${path} is not a file`);
    if (facts.size > limitBytes)
      throw new BangerError("invalid_argument", `${path} is larger than ${limitBytes} bytes`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function isChain(root: string, parts: readonly string[]): Promise<boolean> {
  for (let depth = 1; depth <= parts.length; depth += 1) {
    if (!(await isDirectory(join(root, ...parts.slice(0, depth))))) return false;
  }
  return true;
}

async function isDirectory(path: string): Promise<boolean> {
  const facts = await lstat(path).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
  });
  return facts?.isDirectory() === true;
}
