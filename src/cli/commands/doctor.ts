/** `doctor`: what works on this host, what does not, and the cure. */
import type { Command } from "commander";
import type { DoctorReport } from "../../api/types/host.ts";
import { BangerError } from "../../model/errors.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { printable } from "../render/printable.ts";

export function defineDoctor(program: Command, ctx: CliContext): void {
  program
    .command("doctor")
    .summary("say what works on this host")
    .description(
      "Says what works on this host, what does not, and the cure. Exit code 1 when something failed.",
    )
    .option("--json", "as JSON")
    .action(async ({ json = false }: { json?: boolean }) => {
      const report = await diagnose(ctx);
      if (json) ctx.printJson(report);
      else ctx.print(render(report));
      if (report.rows.some((row) => row.verdict === "fail")) ctx.exitCode = EXIT.failure;
    });
}

/** A daemon that does not start is the first thing to diagnose. */
async function diagnose(ctx: CliContext): Promise<DoctorReport> {
  try {
    return await (await ctx.client()).doctor();
  } catch (thrown) {
    const { message, cure } = BangerError.from(thrown);
    return { rows: [{ check: "daemon", verdict: "fail", message, cure }], capabilities: {} };
  }
}

function render(report: DoctorReport): string {
  const lines = report.rows
    .flatMap((row) => [
      `${row.verdict.toUpperCase()}  ${row.check}: ${row.message}`,
      ...(row.cure === undefined ? [] : [`      cure: ${row.cure}`]),
    ])
    .join("\n");
  return printable(lines);
}
