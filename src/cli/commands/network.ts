/** `network`: what there is, what would become of a packet, and away with it. */
import type { Command } from "commander";
import type { NetworkReport } from "../../api/types/network.ts";
import { validateVmRef } from "../../model/names.ts";
import { parseNetworkRule } from "../../model/network-rule.ts";
import type { CliContext } from "../context.ts";
import { renderFacts } from "../render/facts.ts";
import { renderTable } from "../render/table.ts";

/** The exit code of a check that was denied, as of a test that failed. */
const DENIED = 1;

export function defineNetwork(program: Command, ctx: CliContext): void {
  const network = program
    .command("network")
    .summary("look at the network of VMs")
    .description("Looks at the network that VMs share, and takes it down.");
  network
    .command("show")
    .summary("show the network")
    .description(
      "Shows whether guests have network cards here and why not, and which VMs are on the network.",
    )
    .option("--json", "as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      const report = await (await ctx.client()).showNetwork();
      if (json) ctx.printJson(report);
      else ctx.print(renderNetwork(report));
    });
  network
    .command("check")
    .summary("say whether a VM may reach something")
    .description(
      "Says whether a VM may reach HOST:PORT[/PROTOCOL], and which rule says so. Exits with 1 for a no.",
    )
    .argument("<vm>", "name, id or id prefix")
    .argument("<target>", "HOST:PORT[/PROTOCOL], or HOST/icmp")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  banger network check web github.com:443\n  banger network check web 10.0.0.1:53/udp",
    )
    .action(async (ref: string, target: string, { json = false }: { json?: boolean }) => {
      parseNetworkRule(target, "check");
      const found = await (await ctx.client()).checkNetwork(validateVmRef(ref), target);
      if (found.verdict === "deny") ctx.exitCode = DENIED;
      if (json) return ctx.printJson(found);
      const rows = found.addresses.map((one) => [
        one.verdict,
        one.address,
        one.port === undefined ? one.protocol : `${one.port}/${one.protocol}`,
        one.rule,
      ]);
      ctx.print(`${found.verdict}: ${found.rule}`);
      if (rows.length > 1) ctx.print(renderTable(["VERDICT", "ADDRESS", "PORT", "RULE"], rows));
    });
  network
    .command("down")
    .summary("remove the network's namespace")
    .description(
      "Removes the namespace, its link and its uplink, and says so; refused while VMs use them. The next start makes them anew.",
    )
    .action(async () => {
      const { removed } = await (await ctx.client()).takeNetworkDown();
      ctx.print(removed ? "removed" : "there is none");
    });
}

function guestsText({ kind, why = "" }: NetworkReport): string {
  switch (kind) {
    case "namespace":
      return why === "" ? "a network card each" : `a network card each; ${why}`;
    case "channel":
      return `no network card, but TCP and names over the agent's channel: ${why}`;
    case "none":
      return `no network card: ${why}`;
  }
}

function namespaceText({ up, keeper, lost }: NetworkReport): string {
  if (lost !== undefined) return "";
  if (!up) return " (made with the first start)";
  return keeper === undefined ? "" : ` (kept by the process ${keeper})`;
}

function renderNetwork(report: NetworkReport): string {
  const facts = renderFacts([
    ["guests", guestsText(report)],
    ["cure", report.cure],
    ["namespace", report.kind !== "namespace" ? undefined : `${report.namespace}${namespaceText(report)}`],
    ["lost", report.lost],
    ["uplink", report.kind === "none" ? undefined : report.uplink],
    ["addresses", `${report.pool}, gateway and resolver ${report.gateway}`],
    ["IPv6", report.pool6 === undefined ? undefined : `${report.pool6}, gateway ${report.gateway6}`],
    ["but", report.problem6],
    ["asks", report.nameservers.join(", ") || "no nameserver: /etc/resolv.conf has none"],
    ["clash", report.clash === undefined ? undefined : `the pool overlaps ${report.clash}`],
    ["taps", report.up ? `${report.readyTaps} ready` : undefined],
  ]);
  return report.vms.length === 0 ? facts : `${facts}\n\n${renderGuests(report)}`;
}

function renderGuests({ vms, pool6 }: NetworkReport): string {
  const six = (cell: string): string[] => (pool6 === undefined ? [] : [cell]);
  return renderTable(
    ["NAME", "ADDRESS", ...six("IPV6"), "NETWORK", "TAP"],
    vms.map((vm) => [vm.name, vm.address, ...six(vm.address6 ?? ""), vm.mode, vm.tap]),
  );
}
