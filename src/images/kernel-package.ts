/**
 * Fetches Debian's kernel package with apt's own tools, as any user, and reads what banger needs out of it.
 * Apt checks the package against the signed lists that the host has.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { extract } from "tar-stream";
import { decompressBytes, detectCompression } from "../lib/decompress.ts";
import { runProgram, startProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import {
  canonicalName,
  type KernelModule,
  type ModuleSource,
  moduleNameFromPath,
  parseBuiltin,
} from "./kernel-modules.ts";

/** Debian's kernel for virtual machines; a metapackage that depends on the current one. */
export const KERNEL_METAPACKAGE = "linux-image-cloud-amd64";

const MODULE_LIMIT_BYTES = 64 * 1024 * 1024;
/** All that is kept of a package in memory; the cloud kernel has 90 MB. */
const PACKAGE_LIMIT_BYTES = 1024 * 1024 * 1024;

/** What was read out of a kernel package. */
export interface KernelPackage {
  /** `uname -r` of the kernel. */
  readonly release: string;
  readonly bzImage: Uint8Array;
  readonly modules: ModuleSource;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
}

/**
 * The concrete package behind the metapackage. Errors: `unavailable` (no apt, or apt does not know the
 * package), `cancelled`.
 */
export async function resolveKernelPackage(options: FetchOptions = {}): Promise<string> {
  const { stdout } = await runProgram(["apt-cache", "depends", KERNEL_METAPACKAGE], {
    ...options,
    aptPackage: "apt",
    failure: (end) => unknownPackage(end.stderrTail),
  });
  const match = /^\s*\|?Depends:\s*(linux-image-[a-z0-9.+~-]+)\s*$/mu.exec(Buffer.from(stdout).toString());
  if (match?.[1] === undefined) throw unknownPackage("it depends on no kernel");
  return match[1];
}

/**
 * Downloads a package into the directory, which is the caller's, and returns the file's path. Errors:
 * `unavailable`.
 */
export async function downloadPackage(
  name: string,
  dir: string,
  options: FetchOptions = {},
): Promise<string> {
  await runProgram(["apt-get", "download", "-q", name], {
    ...options,
    cwd: dir,
    aptPackage: "apt",
    failure: (end) =>
      new BangerError("unavailable", `cannot download the kernel package ${name}: ${end.stderrTail}`, {
        cure: "apt-get update, and check that the host can reach its Debian mirror",
      }),
  });
  const file = (await readdir(dir)).find((entry) => entry.startsWith(`${name}_`) && entry.endsWith(".deb"));
  if (file === undefined) throw new BangerError("internal", `apt-get download left no file of ${name}`);
  return join(dir, file);
}

/**
 * Reads the kernel image and the modules of a .deb in one pass; modules stay compressed until one is asked for.
 * Errors: `invalid_argument` (not a kernel package, damaged), `unavailable` (dpkg-deb is missing).
 */
export async function readKernelPackage(path: string, options: FetchOptions = {}): Promise<KernelPackage> {
  const program = startProgram(["dpkg-deb", "--fsys-tarfile", path], {
    ...options,
    stdout: "pipe",
    aptPackage: "dpkg",
    failure: (end) => new BangerError("invalid_argument", `cannot unpack ${path}: ${end.stderrTail}`),
  });
  try {
    const files = await readNeededFiles(program.stdout, path).catch(async (error: unknown) => {
      if (error instanceof BangerError) throw error;
      // A tar that ends early has a reason, which dpkg-deb tells; it must be able to write the rest away.
      program.stdout?.resume();
      await program.done;
      throw new BangerError("invalid_argument", `the package ${path} holds a damaged tar`, { cause: error });
    });
    await program.done;
    return packageFromFiles(files, path);
  } finally {
    await program.stop();
  }
}

async function readNeededFiles(source: Readable | undefined, path: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const tar = extract();
  source?.pipe(tar);
  source?.once("error", (error) => tar.destroy(error));
  let keptBytes = 0;
  for await (const entry of tar) {
    // An entry fails together with its archive, whose error the loop throws; unheard it would end the process.
    entry.on("error", () => undefined);
    const name = entry.header.name.replace(/^\.\//u, "").replace(/^usr\//u, "");
    if (entry.header.type !== "file" || !isNeeded(name)) {
      entry.resume();
      continue;
    }
    keptBytes += entry.header.size;
    if (keptBytes > PACKAGE_LIMIT_BYTES) throw new BangerError("invalid_argument", `${path} is too large`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk);
    files.set(name, Buffer.concat(chunks));
  }
  return files;
}

function isNeeded(name: string): boolean {
  return (
    name.startsWith("boot/vmlinuz-") ||
    (name.startsWith("lib/modules/") &&
      (name.endsWith("/modules.builtin") || moduleNameFromPath(name) !== undefined))
  );
}

function packageFromFiles(files: ReadonlyMap<string, Uint8Array>, path: string): KernelPackage {
  const image = [...files].find(([name]) => name.startsWith("boot/vmlinuz-"));
  if (image === undefined) throw new BangerError("invalid_argument", `${path} holds no kernel`);
  const release = image[0].slice("boot/vmlinuz-".length);
  const builtin = parseBuiltin(
    Buffer.from(files.get(`lib/modules/${release}/modules.builtin`) ?? "").toString(),
  );
  const modules = new Map<string, { name: string; bytes: Uint8Array }>();
  for (const [file, bytes] of files) {
    const name = moduleNameFromPath(file);
    if (name !== undefined) modules.set(canonicalName(name), { name, bytes });
  }
  return {
    release,
    bzImage: image[1],
    modules: {
      isBuiltin: (name) => builtin.has(name),
      async load(name): Promise<KernelModule | undefined> {
        const module = modules.get(name);
        if (module === undefined) return undefined;
        const compression = detectCompression(module.bytes);
        if (compression === undefined) return module;
        const what = `the kernel module ${module.name}`;
        const bytes = await decompressBytes(module.bytes, compression, {
          what,
          limitBytes: MODULE_LIMIT_BYTES,
        });
        return { name: module.name, bytes };
      },
    },
  };
}

function unknownPackage(why: string): BangerError {
  return new BangerError(
    "unavailable",
    `apt does not know the kernel package ${KERNEL_METAPACKAGE}: ${why}`,
    {
      cure: "apt-get update (the host needs Debian's package lists)",
    },
  );
}
