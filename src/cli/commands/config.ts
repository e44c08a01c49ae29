/** `config show`: what the daemon obeys, where each value came from, and what it does not know of yet. */
import type { Command } from "commander";
import type { ConfigReport } from "../../api/types/host.ts";
import type { CliContext } from "../context.ts";
import { renderTable } from "../render/table.ts";

export function defineConfig(program: Command, ctx: CliContext): void {
  const config = program.command("config").description("what the daemon obeys, and where it came from");
  config
    .command("show")
    .summary("show every key, its value and where it came from")
    .description(
      "Shows every key of the configuration, its value in the daemon and where it came from: a variable, the file, or a default.",
    )
    .option("--json", "as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      const report = await (await ctx.client()).config();
      if (json) return ctx.printJson(report);
      ctx.print(render(report));
      for (const remark of remarks(report, process.env)) ctx.say(remark);
    });
}

function render(report: ConfigReport): string {
  const rows = report.settings.map(({ key, value, origin, variable }) => [
    key,
    String(value),
    { variable, file: report.path, default: "default" }[origin],
  ]);
  return renderTable(["KEY", "VALUE", "FROM"], rows);
}

/** What the daemon's values do not show: a newer file, and variables that were set after it had started. */
function remarks(report: ConfigReport, env: Readonly<Record<string, string | undefined>>): string[] {
  const restart = "restart the daemon with: banger daemon restart";
  const file = report.changed
    ? [
        report.problem === undefined
          ? `${report.path} has changed since the daemon started; to make it obey, ${restart}`
          : `${report.path} has changed since the daemon started, and no daemon can start with it: ${report.problem}`,
      ]
    : report.exists
      ? []
      : [`there is no ${report.path}`];
  const here = report.settings
    .filter(({ variable, origin }) => origin !== "variable" && (env[variable] ?? "") !== "")
    .map(({ variable }) => `${variable} is set here, but was not when the daemon started; ${restart}`);
  return [...file, ...here];
}
