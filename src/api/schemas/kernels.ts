/** Bodies about kernels. */
import { z } from "zod";
import { validateKernelName, validateNewKernelName } from "../../model/kernel-names.ts";
import type { ImportKernel, Kernel } from "../types/kernels.ts";
import { ruled } from "./fields.ts";

export const KernelSchema: z.ZodType<Kernel> = z
  .strictObject({
    name: z.string(),
    id: z.string().describe("sha256 of the kernel and its modules"),
    release: z.string().describe("uname -r, as far as it is known"),
    source: z.string(),
    sizeBytes: z.int(),
    modules: z.array(z.string()).describe("The modules that guests load, in this order"),
    vms: z.array(z.string()).describe("VMs that boot it, at most five"),
    createdAt: z.int().describe("Unix milliseconds"),
    problem: z
      .string()
      .optional()
      .describe("Why it cannot be booted, and the cure; then its other facts are empty"),
  })
  .meta({ id: "Kernel" });

export const KernelListSchema: z.ZodType<{ kernels: readonly Kernel[] }> = z
  .strictObject({ kernels: z.array(KernelSchema) })
  .meta({ id: "KernelList" });

const AbsolutePath = z.string().max(4096).startsWith("/");

export const ImportKernelSchema: z.ZodType<ImportKernel> = z
  .strictObject({
    name: ruled(validateNewKernelName, 64),
    path: AbsolutePath.optional().describe("A vmlinuz or vmlinux on the host; absent: the host's own kernel"),
    modulesDir: AbsolutePath.optional().describe("Its modules; absent: all that a guest needs is built in"),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .describe("What the file's checksum must be"),
  })
  .refine((wish) => wish.path !== undefined || (wish.modulesDir ?? wish.sha256) === undefined, {
    message: "modulesDir and sha256 go with a path",
  })
  .meta({ id: "ImportKernel" });

export const RemovedKernelSchema: z.ZodType<{ name: string }> = z
  .strictObject({ name: ruled(validateKernelName, 64) })
  .meta({ id: "RemovedKernel" });
