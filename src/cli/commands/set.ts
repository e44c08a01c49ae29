/** `set`: another name, size, kernel, network or published ports. */
import type { Command } from "commander";
import type { Vm } from "../../api/types/vms.ts";
import { BangerError } from "../../model/errors.ts";
import { validateKernelName } from "../../model/kernel-names.ts";
import type { CliContext } from "../context.ts";
import { showEachRef } from "../refs.ts";
import { addNetworkOptions, type NetworkFlags, parseNetwork } from "./network-flags.ts";
import { addPublishOption, addUnpublishOption, type PortFlags, parsePortsWish } from "./port-flags.ts";
import { parseSize, type SizeFlags } from "./size-flags.ts";

interface SetFlags extends SizeFlags, NetworkFlags, PortFlags {
  readonly name?: string;
  readonly kernel?: string;
  readonly unpublish?: readonly string[];
  readonly json?: boolean;
}

export function defineSet(program: Command, ctx: CliContext): void {
  const set = program
    .command("set")
    .summary("change the name, size, kernel, network or ports of VMs")
    .description(
      "Changes VMs. A running one takes a name, a network, ports and a larger disk at once; the rest waits for its next start.",
    )
    .argument("<vm...>", "names, ids or id prefixes")
    .option("--name <name>", "another name (one VM only)")
    .option("--vcpus <n>", "virtual CPUs")
    .option("--memory <size>", "memory, such as 512M or 4G")
    .option("--disk <size>", "a larger size of the writable disk, such as 16G")
    .option("--kernel <name>", "a kernel, host, or image: the image's own; debian: the default again")
    .option("--json", "print the VM as JSON; several as a list")
    .addHelpText(
      "after",
      `
Examples:
  banger set web --memory 4G --vcpus 2
  banger set web --name api
  banger set web --kernel host
  banger set web --publish 8080:80 --unpublish 9090`,
    )
    .action(async (refs: string[], flags: SetFlags) => {
      const name = flags.name === undefined ? {} : { name: flags.name };
      const kernel = flags.kernel === undefined ? {} : { kernel: validateKernelName(flags.kernel) };
      const network = parseNetwork(flags);
      const wish = { ...parseSize(flags), ...parsePortsWish(flags), network, ...name, ...kernel };
      if (Object.values(wish).every((value) => value === undefined)) throw nothingToSet();
      if (flags.name !== undefined && new Set(refs).size > 1) throw oneNameForMany();
      const client = await ctx.client();
      const find = async (ref: string): Promise<Vm> => {
        const vm = await client.setVm(ref, wish);
        if (vm.pending.length > 0)
          ctx.say(`${vm.name}: ${vm.pending.join(", ")} with the next start (banger restart ${vm.name})`);
        return vm;
      };
      await showEachRef(ctx, refs, { json: flags.json === true, find, render: ({ name }) => name });
    });
  addNetworkOptions(set).option("--no-network-peers", "talk with no other guest");
  addUnpublishOption(addPublishOption(set));
}

function nothingToSet(): BangerError {
  return new BangerError("invalid_argument", "set needs something to change", {
    cure: "name it, such as: banger set VM --memory 4G",
    details: { field: "set" },
  });
}

function oneNameForMany(): BangerError {
  return new BangerError("invalid_argument", "several VMs cannot have one name", {
    cure: "name one VM, such as: banger set VM --name NAME",
    details: { field: "name" },
  });
}
