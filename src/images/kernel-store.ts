/**
 * Kernels on disk: `kernels/<id>/{vmlinux, modules/*.ko, modules/order, kernel.json}`, where the id is the
 * SHA-256 of everything that a guest gets to see of it. A kernel is published whole or not at all.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { publishDirectory, temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import { BangerError } from "../model/errors.ts";
import type { KernelModule } from "./kernel-modules.ts";
import type { Damage, Verified, VerifyContext } from "./verify.ts";

/** A kernel that is ready to boot. Its files are the store's: shared, never written. */
export interface Kernel {
  /** SHA-256 of its contents, 64 hex digits. */
  readonly id: string;
  /** `uname -r`. */
  readonly release: string;
  /** Where it came from, such as `debian linux-image-6.1.0-56-cloud-amd64`. */
  readonly source: string;
  readonly createdAtMs: number;
  /** An uncompressed ELF with a PVH note. */
  readonly vmlinuxPath: string;
  /** The modules' files, absolute, in the order in which they must be loaded. */
  readonly modules: readonly string[];
}

const kernelFile = z.strictObject({
  id: z.string(),
  release: z.string(),
  source: z.string(),
  createdAtMs: z.number(),
  modules: z.array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/u)),
});

export interface KernelParts {
  readonly release: string;
  readonly source: string;
  readonly vmlinux: Uint8Array;
  /** In load order. */
  readonly modules: readonly KernelModule[];
}

/** Writes a kernel. One with the same contents that is there already stays and is returned. */
export async function publishKernel(kernelsDir: string, parts: KernelParts): Promise<Kernel> {
  const id = kernelId(parts);
  await publishDirectory(kernelsDir, async (dir) => {
    await mkdir(join(dir, "modules"));
    await writeFile(join(dir, "vmlinux"), parts.vmlinux);
    for (const module of parts.modules)
      await writeFile(join(dir, "modules", `${module.name}.ko`), module.bytes);
    const names = parts.modules.map((module) => module.name);
    await writeFile(join(dir, "modules", "order"), names.map((name) => `${name}.ko\n`).join(""));
    const facts = {
      id,
      release: parts.release,
      source: parts.source,
      createdAtMs: Date.now(),
      modules: names,
    };
    await writeFile(join(dir, "kernel.json"), `${JSON.stringify(facts, undefined, 2)}\n`);
    return id;
  });
  return readKernel(kernelsDir, id);
}

/** Errors: `not_found`; `internal` when its description is damaged. */
export async function readKernel(kernelsDir: string, id: string): Promise<Kernel> {
  const dir = join(kernelsDir, id);
  const text = await readFile(join(dir, "kernel.json"), "utf8").catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new BangerError("not_found", `there is no kernel ${id}`, { cause: error });
  });
  const parsed = kernelFile.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new BangerError("internal", `${dir}/kernel.json is damaged`, {
      cure: `remove it, and the next start that needs it makes it anew: rm -r ${dir}`,
    });
  }
  return {
    ...parsed.data,
    vmlinuxPath: join(dir, "vmlinux"),
    modules: parsed.data.modules.map((name) => join(dir, "modules", `${name}.ko`)),
  };
}

/** All kernels whose description is whole, newest first; of the others `verifyKernels` tells. A missing directory holds none. */
export async function listKernels(kernelsDir: string): Promise<Kernel[]> {
  const ids = await kernelIds(kernelsDir);
  const kernels = ids.map(async (id) => {
    return await readKernel(kernelsDir, id).catch((error: unknown) => {
      if (!(error instanceof BangerError)) throw error;
      return undefined;
    });
  });
  const whole = (await Promise.all(kernels)).filter((kernel) => kernel !== undefined);
  return whole.sort((a, b) => b.createdAtMs - a.createdAtMs);
}

/** Bytes of the kernel and its modules. */
export async function kernelSize(kernel: Kernel): Promise<number> {
  const sizes = [kernel.vmlinuxPath, ...kernel.modules].map(async (path) => (await stat(path)).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Removes a kernel in one step; one that is not there is fine. The caller knows that nothing names it. */
export async function removeKernel(kernelsDir: string, id: string): Promise<void> {
  const doomed = join(kernelsDir, temporaryName());
  try {
    await rename(join(kernelsDir, id), doomed);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  await removeTree(doomed);
}

/** What stands there as a kernel, damaged or not. */
export async function kernelIds(kernelsDir: string): Promise<string[]> {
  const names = await readdir(kernelsDir).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => /^[0-9a-f]{64}$/u.test(name)).sort();
}

/** Reads every kernel; a damaged one is only told of. Errors: `cancelled`, those of the file system. */
export async function verifyKernels(
  kernelsDir: string,
  { signal, onStage }: VerifyContext,
): Promise<Verified> {
  const damages: Damage[] = [];
  const ids = await kernelIds(kernelsDir);
  for (const id of ids) {
    signal?.throwIfAborted();
    onStage?.(`checking kernel ${id.slice(0, 12)}`);
    const problem = await checkKernel(kernelsDir, id);
    if (problem !== undefined) damages.push({ kind: "kernel", id, problem, images: [] });
  }
  return { checked: ids.length, damages };
}

/** What is wrong with a kernel, as a phrase; undefined: nothing. */
async function checkKernel(kernelsDir: string, id: string): Promise<string | undefined> {
  try {
    const kernel = await readKernel(kernelsDir, id);
    const vmlinux = await readFile(kernel.vmlinuxPath);
    const modules = kernel.modules.map(async (path) => ({
      name: basename(path, ".ko"),
      bytes: await readFile(path),
    }));
    const found = kernelId({ vmlinux, modules: await Promise.all(modules) });
    return found === id ? undefined : "its files are others";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "a file of it is gone";
    if (error instanceof BangerError) return error.message;
    throw error;
  }
}

/** Each part goes in with its length, so that no two kernels share a hash by moving a boundary. */
function kernelId(parts: Pick<KernelParts, "vmlinux" | "modules">): string {
  const hash = createHash("sha256");
  const files = [{ name: "vmlinux", bytes: parts.vmlinux }, ...parts.modules];
  for (const file of files) hash.update(`${file.name} ${file.bytes.byteLength}\n`).update(file.bytes);
  return hash.digest("hex");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it and says which file it was.
  }
}
