/** Builds the default kernel: Debian's cloud kernel package, unpacked. */
import { basename } from "node:path";
import { withTemporaryDirectory } from "../lib/publish.ts";
import { extractVmlinux } from "./kernel-bzimage.ts";
import { chooseModules } from "./kernel-modules.ts";
import { downloadPackage, readKernelPackage, resolveKernelPackage } from "./kernel-package.ts";
import { type Kernel, publishKernel } from "./kernel-store.ts";

export interface BuildOptions {
  /** Told what is being done now, as a phrase for a person. */
  readonly onStage?: (stage: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Downloads, unpacks and publishes the kernel under `kernelsDir`. Safe to repeat and to run side by side: the
 * same package gives the same kernel. Errors: `unavailable` (apt, dpkg or a decompressor missing, no package
 * lists, no network), `resource_exhausted`, `cancelled`.
 */
export async function buildDebianKernel(kernelsDir: string, options: BuildOptions = {}): Promise<Kernel> {
  const fetchOptions = options.signal === undefined ? {} : { signal: options.signal };
  return withTemporaryDirectory(kernelsDir, async (dir) => {
    options.onStage?.("looking up Debian's kernel package");
    const name = await resolveKernelPackage(fetchOptions);
    options.onStage?.(`downloading ${name}`);
    const deb = await downloadPackage(name, dir, fetchOptions);
    options.onStage?.("unpacking the kernel");
    const contents = await readKernelPackage(deb, fetchOptions);
    const vmlinux = await extractVmlinux(contents.bzImage, fetchOptions);
    const modules = await chooseModules(contents.modules);
    options.signal?.throwIfAborted();
    return publishKernel(kernelsDir, {
      release: contents.release,
      source: `debian ${basename(deb, ".deb")}`,
      vmlinux,
      modules,
    });
  });
}
