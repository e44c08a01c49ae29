/** `logs`: the guest's console. */
import type { Command } from "commander";
import { validateVmRef } from "../../model/names.ts";
import type { CliContext } from "../context.ts";
import { stdout } from "../output.ts";

export function defineLogs(program: Command, ctx: CliContext): void {
  program
    .command("logs")
    .summary("show a guest's console output")
    .description("Shows the end of a guest's console output, at most a MiB, also of a VM that stopped.")
    .argument("<vm>", "name, id or id prefix")
    .option("-f, --follow", "go on as it grows, until ^C or until the VM is deleted")
    .option("--console", "the console, which is what there is")
    .action(async (vm: string, { follow = false }: { follow?: boolean }) => {
      const client = await ctx.client();
      if (!follow) return ctx.write(shown(await client.logs(validateVmRef(vm))));
      return await ctx.writeAll(shownAll(client.followLogs(validateVmRef(vm))));
    });
}

async function* shownAll(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const bytes of pieces) yield shown(decoder.decode(bytes, { stream: true }));
}

/** What a guest writes must not steer the user's terminal: there, escape sequences and control characters are left out. */
function shown(text: string): string {
  if (!stdout().isTTY) return text;
  // oxlint-disable-next-line eslint/no-control-regex -- control characters are what is removed
  return text.replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|.)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
