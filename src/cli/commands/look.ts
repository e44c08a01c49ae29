/** `ps` and `show`: what there is. */
import type { Command } from "commander";
import type { Vm } from "../../api/types/vms.ts";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";
import { formatPublished } from "../../model/published-port.ts";
import { formatDurationMs } from "../../model/quantities.ts";
import { VM_STATES } from "../../model/vm.ts";
import type { CliContext } from "../context.ts";
import { showEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";
import { renderVm } from "../render/vm.ts";
import { collect } from "./repeatable.ts";

interface PsFlags {
  readonly all?: boolean;
  readonly ids?: boolean;
  readonly json?: boolean;
  readonly filter: readonly string[];
}

export function defineLook(program: Command, ctx: CliContext): void {
  program
    .command("ps")
    .aliases(["ls", "list"])
    .summary("list VMs")
    .description("Lists the VMs that are up; with -a, all of them.")
    .option("-a, --all", "stopped ones too")
    .option("-q, --ids", "only ids")
    .option(
      "--filter <KEY=VALUE>",
      "only VMs with this state, name, image or id, may be repeated",
      collect,
      [],
    )
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  banger ps -a --filter state=stopped\n  banger rm $(banger ps -aq --filter image=old)",
    )
    .action(async ({ all = false, ids = false, json = false, filter }: PsFlags) => {
      const fits = parseFilters(filter);
      const client = await ctx.client();
      // A filter by state says by itself which ones are wanted.
      const everything = all || filter.some((one) => one.startsWith("state="));
      const vms = (await client.listVms()).filter((vm) => (everything || vm.state !== "stopped") && fits(vm));
      if (json) ctx.printJson(vms);
      else if (!ids) ctx.print(renderList(vms));
      else if (vms.length > 0) ctx.print(vms.map((vm) => vm.id).join("\n"));
    });
  program
    .command("show")
    .alias("inspect")
    .summary("show VMs")
    .description("Shows everything about VMs, with the steps of their last start.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option("--json", "as JSON; several as a list")
    .action(async (refs: string[], { json = false }: { json?: boolean }) => {
      const client = await ctx.client();
      const find = async (ref: string): Promise<Vm> => await client.showVm(ref);
      await showEachRef(ctx, refs, { json, find, render: renderVm });
    });
}

const FILTERS: Readonly<Record<string, (vm: Vm) => string>> = {
  state: (vm) => vm.state,
  name: (vm) => vm.name,
  image: (vm) => vm.spec.image,
  id: (vm) => vm.id,
};

/** All filters must fit; `name` and `id` fit by their beginning. Errors: `invalid_argument`. */
function parseFilters(filters: readonly string[]): (vm: Vm) => boolean {
  const tests = filters.map((text) => {
    const [key = "", value = ""] = text.split(/=(.*)/s);
    const field = FILTERS[key];
    if (field === undefined || value === "") {
      throw new BangerError("invalid_argument", `the filter ${quote(text)} is not KEY=VALUE`, {
        cure: `KEY is one of ${Object.keys(FILTERS).join(", ")}`,
        details: { field: "filter" },
      });
    }
    if (key === "state" && !VM_STATES.some((state) => state === value)) {
      throw new BangerError("invalid_argument", `no VM is ever in a state ${quote(value)}`, {
        cure: `the states are ${VM_STATES.join(", ")}`,
        details: { field: "filter" },
      });
    }
    const byStart = key === "name" || key === "id";
    return (vm: Vm) => (byStart ? field(vm).startsWith(value) : field(vm) === value);
  });
  return (vm) => tests.every((test) => test(vm));
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
    (vm.spec.ports ?? []).map(formatPublished).join(" "),
    `${formatDurationMs(Math.max(0, now - vm.createdAt))} ago`,
  ]);
  return renderTable(
    ["ID", "NAME", "STATE", "IMAGE", "VCPUS", "MEMORY", "ADDRESS", "PORTS", "CREATED"],
    rows,
  );
}
