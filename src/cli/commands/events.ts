/** `events`: what happens to VMs. */
import type { Command } from "commander";
import type { VmEvent } from "../../api/types/vms.ts";
import { parseWholeNumber } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { printableLine } from "../render/printable.ts";

export function defineEvents(program: Command, ctx: CliContext): void {
  program
    .command("events")
    .summary("watch what happens to VMs")
    .description("Prints what happens to VMs, as it happens. The last 10,000 events are kept.")
    .option("--after <cursor>", "begin behind this event; 0: with the oldest that is kept")
    .option("--json", "one JSON object a line")
    .action(async ({ after, json = false }: { after?: string; json?: boolean }) => {
      const range = { min: 0, max: Number.MAX_SAFE_INTEGER };
      const from = after === undefined ? {} : { after: parseWholeNumber(after, "--after", range) };
      const client = await ctx.client();
      await ctx.writeAll(lines(client.events(from), json));
    });
}

async function* lines(events: AsyncIterable<VmEvent>, json: boolean): AsyncGenerator<string> {
  for await (const event of events) yield `${json ? JSON.stringify(event) : render(event)}\n`;
}

function render(event: VmEvent): string {
  const time = new Date(event.at).toISOString();
  const why = event.message === undefined ? "" : `: ${printableLine(event.message.split("\n")[0] ?? "")}`;
  return `${event.cursor} ${time} ${event.name} ${event.kind}${why}`;
}
