/** `logs`: the guest's console. */
import type { Command } from "commander";
import { validateVmRef } from "../../model/names.ts";
import type { CliContext } from "../context.ts";

export function defineLogs(program: Command, ctx: CliContext): void {
  program
    .command("logs")
    .summary("show a guest's console output")
    .description("Shows the end of a guest's console output, at most a MiB, also of a VM that stopped.")
    .argument("<vm>", "name, id or id prefix")
    .action(async (vm: string) => {
      const client = await ctx.client();
      process.stdout.write(await client.logs(validateVmRef(vm)));
    });
}
