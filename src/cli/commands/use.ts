/** `stats`, `top` and `ports`: what VMs use, and what listens in them. */
import type { Command } from "commander";
import type { Listener, VmStats } from "../../api/types/use.ts";
import { BangerError } from "../../model/errors.ts";
import { validateVmRef } from "../../model/names.ts";
import { formatHostPort, type PublishedPort } from "../../model/published-port.ts";
import { formatBytes, formatDurationMs } from "../../model/quantities.ts";
import type { Client } from "../../sdk/client.ts";
import type { CliContext } from "../context.ts";
import { stdout } from "../output.ts";
import { renderTable } from "../render/table.ts";

const REFRESH_MS = 2_000;

export function defineUse(program: Command, ctx: CliContext): void {
  program
    .command("stats")
    .summary("show what VMs use")
    .description(
      "Shows what the live VMs use: CPU time and memory on the host, memory and disk in the guest.",
    )
    .argument("[vm...]", "names or ids (default: all that are up)")
    .option("-f, --follow", "again every two seconds")
    .option("--json", "as JSON, one line a time with -f")
    .action(
      async (refs: string[], { follow = false, json = false }: { follow?: boolean; json?: boolean }) => {
        const wanted = refs.map(validateVmRef);
        const client = await ctx.client();
        const ids = refs.length === 0 ? undefined : await liveIds(client, wanted);
        await repeat(follow, async () => {
          const all = await client.stats();
          const stats = ids === undefined ? all : all.filter((vm) => ids.has(vm.id));
          if (json) ctx.print(JSON.stringify(stats, null, follow ? 0 : 2));
          else ctx.print(renderStats(stats));
        });
      },
    );
  program
    .command("top")
    .summary("watch what VMs use")
    .description(
      "Shows the live VMs by the CPU that they use now, refreshed every two seconds; end it with ^C.",
    )
    .action(async () => {
      const client = await ctx.client();
      let before: readonly VmStats[] = [];
      let at = 0;
      await repeat(true, async () => {
        const now = await client.stats();
        const elapsedMs = performance.now() - at;
        at += elapsedMs;
        const share = (vm: VmStats): number =>
          (vm.cpuMs - (before.find((one) => one.id === vm.id)?.cpuMs ?? vm.cpuMs)) / elapsedMs;
        const clear = stdout().isTTY ? "\u001b[H\u001b[2J" : "";
        ctx.print(
          clear +
            renderStats(
              now.toSorted((a, b) => share(b) - share(a)),
              (vm) => `${(share(vm) * 100).toFixed(0)}%`,
            ),
        );
        before = now;
      });
    });
  program
    .command("ports")
    .summary("list what listens in a VM")
    .description(
      "Lists the sockets that listen in a VM, with their processes, and where this host listens for them.",
    )
    .argument("<vm>", "name, id or id prefix")
    .option("--json", "as JSON")
    .action(async (ref: string, { json = false }: { json?: boolean }) => {
      const client = await ctx.client();
      const [vm, listeners] = await Promise.all([client.showVm(validateVmRef(ref)), client.ports(ref)]);
      if (json) return ctx.printJson(listeners);
      const rows = listeners.map((one) => [
        one.protocol,
        one.address,
        String(one.port),
        one.command === undefined ? "" : `${one.command} (${one.pid ?? "?"})`,
        one.published?.join(" ") ?? "",
        `${vm.name}.vm:${one.port}`,
      ]);
      const nobodys = (vm.spec.ports ?? [])
        .filter((port) => !listeners.some((one) => isServedBy(port, one)))
        .map((port) => [
          port.protocol,
          "",
          String(port.guestPort),
          "(nobody listens)",
          formatHostPort(port),
          `${vm.name}.vm:${port.guestPort}`,
        ]);
      const head = ["PROTO", "ADDRESS", "PORT", "PROCESS", "PUBLISHED", "NAME"];
      return ctx.print(renderTable(head, [...rows, ...nobodys]));
    });
}

function isServedBy(port: PublishedPort, listener: Listener): boolean {
  return port.guestPort === listener.port && port.protocol === listener.protocol;
}

/** Runs `show` once, or again and again until a signal ends the program. */
async function repeat(forEver: boolean, show: () => Promise<void>): Promise<void> {
  do {
    await show();
    if (forEver) await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- a signal ends it
  } while (forEver);
}

/** Errors: `not_found`, and `failed_precondition` for one that is not up, of the first that is wrong. */
async function liveIds(client: Client, refs: readonly string[]): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const ref of refs) {
    const { id, name, state } = await client.showVm(ref);
    if (state === "stopped" || state === "error") {
      throw new BangerError("failed_precondition", `${name} is ${state}, and uses nothing`, {
        cure: `start it with: banger start ${name}`,
      });
    }
    ids.add(id);
  }
  return ids;
}

function renderStats(stats: readonly VmStats[], share?: (vm: VmStats) => string): string {
  const rows = stats.map((vm) => [
    vm.name,
    ...(share === undefined ? [] : [share(vm)]),
    formatDurationMs(vm.cpuMs),
    formatBytes(vm.rssBytes),
    vm.guest === undefined
      ? "-"
      : `${formatBytes(vm.guest.memoryTotalBytes - vm.guest.memoryAvailableBytes)} / ${formatBytes(vm.guest.memoryTotalBytes)}`,
    vm.guest === undefined
      ? "-"
      : `${formatBytes(vm.guest.diskUsedBytes)} / ${formatBytes(vm.guest.diskTotalBytes)}`,
    vm.guest === undefined ? "-" : String(vm.guest.processes),
  ]);
  const head = [
    "NAME",
    ...(share === undefined ? [] : ["CPU"]),
    "CPU TIME",
    "HOST MEMORY",
    "GUEST MEMORY",
    "GUEST DISK",
    "PROCESSES",
  ];
  return renderTable(head, rows);
}
