/** `version`: which banger this is. */
import type { Command } from "commander";
import type { CliContext } from "../context.ts";

export function defineVersion(program: Command, ctx: CliContext): void {
  program
    .command("version")
    .description("print the version")
    .option("--json", "as JSON")
    .action(({ json }: { json?: boolean }) => {
      if (json === true) ctx.printJson({ version: ctx.version });
      else ctx.print(`banger ${ctx.version}`);
    });
}
