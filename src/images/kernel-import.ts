/** Kernels that are here already: a file, the host's own, the one inside an image. Each is unpacked, checked and published whole. */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { withTemporaryDirectory } from "../lib/publish.ts";
import { runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import type { BuildOptions } from "./kernel-build.ts";
import { extractVmlinux } from "./kernel-bzimage.ts";
import { chooseModules, type ModuleSource } from "./kernel-modules.ts";
import { type Kernel, publishKernel } from "./kernel-store.ts";
import {
  findModulesDir,
  kernelReleases,
  openModules,
  readKernelFile,
  readKernelImage,
} from "./kernel-tree.ts";

export interface KernelFiles {
  /** A `bzImage` (`vmlinuz`) or `vmlinux`, absolute. */
  readonly path: string;
  /** Its modules, such as `/lib/modules/RELEASE`; absent: all that a guest needs is built in. */
  readonly modulesDir?: string | undefined;
  /** What the file's SHA-256 must be, 64 hex digits. */
  readonly sha256?: string | undefined;
}

/**
 * Errors: `not_found`, `permission_denied`, `invalid_argument` (another checksum, no kernel, no PVH entry, a module is missing),
 * `unsupported` (compression), `unavailable` (a program is missing), `resource_exhausted`, `cancelled`.
 */
export async function importKernelFiles(
  kernelsDir: string,
  { path, modulesDir, sha256 }: KernelFiles,
  options: BuildOptions,
): Promise<Kernel> {
  options.onStage?.(`reading ${basename(path)}`);
  const image = await readKernelFile(path);
  const found = createHash("sha256").update(image).digest("hex");
  if (sha256 !== undefined && found !== sha256) {
    throw new BangerError("invalid_argument", `the SHA-256 of ${path} is ${found}, not ${sha256}`, {
      cure: "fetch the file again, or correct the checksum",
    });
  }
  const modules = modulesDir === undefined ? ALL_BUILT_IN : await openModules(modulesDir);
  const release = modulesDir === undefined ? "unknown" : basename(modulesDir);
  return await publish(kernelsDir, { image, modules, release, source: `import ${basename(path)}` }, options);
}

/** The kernel of `release` below `root`, which is `/` for the host's own. Errors: as `importKernelFiles`. */
export async function importHostKernel(
  kernelsDir: string,
  { root, release }: { readonly root: string; readonly release: string },
  options: BuildOptions,
): Promise<Kernel> {
  options.onStage?.(`reading the host's kernel ${release}`);
  const image = await readKernelImage(root, release).catch((error: unknown) => {
    if (BangerError.from(error).code !== "not_found") throw error;
    throw new BangerError("not_found", `the host keeps no kernel in /boot/vmlinuz-${release}`, {
      cure: "import its file: banger kernel import NAME VMLINUZ --modules DIR",
      cause: error,
    });
  });
  const modules = await openModules(await findModulesDir(root, release));
  return await publish(kernelsDir, { image, modules, release, source: "host" }, options);
}

/** The newest kernel inside a root file system. Errors: as `importKernelFiles`; `failed_precondition` when it has none. */
export async function importImageKernel(
  kernelsDir: string,
  { rootfsPath, source }: { readonly rootfsPath: string; readonly source: string },
  options: BuildOptions,
): Promise<Kernel> {
  options.onStage?.("unpacking the image's kernel");
  return await withTemporaryDirectory(kernelsDir, async (dir) => {
    const root = join(dir, "root");
    // One at a time: unsquashfs 4.5.1 frees memory twice when it is given paths with a common end.
    for (const part of ["boot", "lib/modules", "usr/lib/modules"]) {
      await runProgram(["unsquashfs", ...UNPACK, "-d", root, rootfsPath, part], {
        stdout: "ignore",
        aptPackage: "squashfs-tools",
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    }
    const [release] = await kernelReleases(root);
    if (release === undefined) {
      throw new BangerError("failed_precondition", "the image has no kernel of its own in /boot", {
        cure: "choose another kernel: banger kernel ls",
      });
    }
    const image = await readKernelImage(root, release);
    const modules = await openModules(await findModulesDir(root, release));
    return await publish(kernelsDir, { image, modules, release, source }, options);
  });
}

async function publish(
  kernelsDir: string,
  parts: {
    readonly image: Uint8Array;
    readonly modules: ModuleSource;
    readonly release: string;
    readonly source: string;
  },
  options: BuildOptions,
): Promise<Kernel> {
  options.onStage?.("unpacking the kernel");
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const vmlinux = await extractVmlinux(parts.image, signal);
  const modules = await chooseModules(parts.modules);
  options.signal?.throwIfAborted();
  const { release, source } = parts;
  return await publishKernel(kernelsDir, { release, source, vmlinux, modules });
}

/** Into a directory that may be there; what is not in the image is no error. */
const UNPACK = ["-f", "-no-progress", "-quiet", "-no-xattrs"];

const ALL_BUILT_IN: ModuleSource = { isBuiltin: () => true, load: async () => undefined };
