/** `ps` and `show`: what there is. */
import type { Command } from "commander";
import type { Vm } from "../../api/types.ts";
import { formatDurationMs } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";
import { renderVm } from "../render/vm.ts";

export function defineLook(program: Command, ctx: CliContext): void {
  program
    .command("ps")
    .aliases(["ls", "list"])
    .summary("list VMs")
    .description("Lists the VMs that are up; with -a, all of them.")
    .option("-a, --all", "stopped ones too")
    .option("-q, --ids", "only ids")
    .option("--json", "as JSON")
    .action(
      async ({
        all = false,
        ids = false,
        json = false,
      }: {
        all?: boolean;
        ids?: boolean;
        json?: boolean;
      }) => {
        const client = await ctx.client();
        const vms = (await client.listVms()).filter((vm) => all || vm.state !== "stopped");
        if (json) ctx.printJson(vms);
        else if (!ids) ctx.print(renderList(vms));
        else if (vms.length > 0) ctx.print(vms.map((vm) => vm.id).join("\n"));
      },
    );
  program
    .command("show")
    .alias("inspect")
    .summary("show VMs")
    .description("Shows everything about VMs, with the steps of their last start.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option("--json", "as JSON")
    .action(async (refs: string[], { json = false }: { json?: boolean }) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => {
        const vm = await client.showVm(ref);
        return json ? JSON.stringify(vm, null, 2) : renderVm(vm);
      });
    });
}

function renderList(vms: readonly Vm[]): string {
  const now = Date.now();
  const rows = vms.map((vm) => [
    vm.id,
    vm.name,
    vm.state,
    vm.spec.image,
    String(vm.spec.vcpus),
    `${vm.spec.memoryMib}M`,
    vm.address,
    `${formatDurationMs(Math.max(0, now - vm.createdAt))} ago`,
  ]);
  return renderTable(["ID", "NAME", "STATE", "IMAGE", "VCPUS", "MEMORY", "ADDRESS", "CREATED"], rows);
}
