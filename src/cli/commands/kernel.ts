/** `kernel`: what VMs boot. */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { ImportKernel, Kernel } from "../../api/types/kernels.ts";
import { BangerError } from "../../model/errors.ts";
import { HOST_KERNEL, validateKernelName, validateNewKernelName } from "../../model/kernel-names.ts";
import { formatBytes } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { forEachRef, showEachRef } from "../refs.ts";
import { renderFacts } from "../render/facts.ts";
import { renderTable } from "../render/table.ts";
import { type LongFlags, runLong } from "./long.ts";

interface ImportFlags extends LongFlags {
  readonly host?: boolean;
  readonly modules?: string;
  readonly sha256?: string;
}

export function defineKernel(program: Command, ctx: CliContext): void {
  const kernel = program
    .command("kernel")
    .summary("the kernels that VMs boot")
    .description(
      "The kernels that VMs boot. Without --kernel that is debian, which is fetched when it is not there.",
    );
  kernel
    .command("ls")
    .alias("list")
    .description("list kernels")
    .option("-q, --names", "only names")
    .option("--json", "as JSON")
    .action(async ({ names = false, json = false }: { names?: boolean; json?: boolean }) => {
      const kernels = await (await ctx.client()).listKernels();
      if (json) ctx.printJson(kernels);
      else if (names && kernels.length > 0) ctx.print(kernels.map((one) => one.name).join("\n"));
      else if (!names) ctx.print(renderKernels(kernels));
    });
  kernel
    .command("show")
    .alias("inspect")
    .description("show kernels: their modules, and which VMs boot them")
    .argument("<name...>")
    .option("--json", "as JSON; several as a list")
    .action(async (names: string[], { json = false }: { json?: boolean }) => {
      const client = await ctx.client();
      const find = async (name: string): Promise<Kernel> => await client.showKernel(validateKernelName(name));
      await showEachRef(ctx, names, { json, find, render: renderKernel });
    });
  kernel
    .command("pull")
    .description("fetch Debian's current cloud kernel, also when there is one; it is the kernel debian")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (flags: LongFlags) => {
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => lineOf(await client.pullKernel(options)));
    });
  defineImport(kernel, ctx);
  kernel
    .command("rm")
    .description("forget kernels that no VM boots")
    .argument("<name...>")
    .action(async (names: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, names, async (name) => await client.removeKernel(validateKernelName(name)));
    });
}

function defineImport(kernel: Command, ctx: CliContext): void {
  kernel
    .command("import")
    .description("take over a kernel from files, or the host's own")
    .argument("[name]", "what to call it; with --host: host when absent")
    .argument("[file]", "a vmlinuz or vmlinux, with a PVH entry (CONFIG_PVH=y)")
    .option("--host", "the kernel that this host runs, with its modules")
    .option("--modules <dir>", "its modules, such as /lib/modules/RELEASE (default: all is built in)")
    .option("--sha256 <hex>", "refuse the file when its checksum is another")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .addHelpText(
      "after",
      "\nExamples:\n  banger kernel import --host\n  banger kernel import mine ./vmlinux --modules /lib/modules/6.12.0",
    )
    .action(async (name: string | undefined, file: string | undefined, flags: ImportFlags) => {
      const wish = importWish(name, file, flags);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => lineOf(await client.importKernel(wish, options)));
    });
}

/** Errors: `invalid_argument`. */
function importWish(name: string | undefined, file: string | undefined, flags: ImportFlags): ImportKernel {
  const { host = false, modules, sha256 } = flags;
  if (host && (file ?? modules ?? sha256) !== undefined) {
    throw new BangerError("invalid_argument", "--host goes with no file, no --modules and no --sha256", {
      cure: "banger kernel import NAME FILE, or banger kernel import --host",
      details: { field: "host" },
    });
  }
  if (host) return { name: validateNewKernelName(name ?? HOST_KERNEL) };
  if (name === undefined || file === undefined) {
    throw new BangerError("invalid_argument", "there is no file to import", {
      cure: "banger kernel import NAME FILE, or banger kernel import --host",
      details: { field: "file" },
    });
  }
  return {
    name: validateNewKernelName(name),
    path: resolve(file),
    modulesDir: modules === undefined ? undefined : resolve(modules),
    sha256,
  };
}

function lineOf(result: Kernel): { readonly result: Kernel; readonly line: string } {
  return { result, line: `${result.name} ${result.release} ${result.id}` };
}

function renderKernels(kernels: readonly Kernel[]): string {
  const rows = kernels.map((one) => [
    one.name,
    one.id.slice(0, 12),
    one.release,
    formatBytes(one.sizeBytes),
    one.vms.length === 0 ? "-" : one.vms.join(", "),
    one.problem ?? one.source,
  ]);
  return renderTable(["NAME", "ID", "RELEASE", "SIZE", "USED BY", "SOURCE"], rows);
}

function renderKernel(kernel: Kernel): string {
  return renderFacts([
    ["name", kernel.name],
    ["problem", kernel.problem],
    ["id", kernel.id],
    ["release", kernel.release],
    ["source", kernel.source],
    ["size", formatBytes(kernel.sizeBytes)],
    ["created", new Date(kernel.createdAt).toISOString()],
    ["used by", kernel.vms.length === 0 ? undefined : kernel.vms.join(", ")],
    ["modules", kernel.modules.length === 0 ? undefined : kernel.modules.join(", ")],
  ]);
}
