/** `--sync`: what is new in the host's work tree goes to the guest before the command runs. */
import type { Client } from "../sdk/client.ts";
import type { CliContext } from "./context.ts";

/** The guest's work is worth more than the command: a conflict ends it. */
export async function syncFirst(ctx: CliContext, client: Client, vm: string): Promise<void> {
  const { notes } = await client.syncWorkspace(vm, {});
  for (const note of notes) ctx.say(`banger: ${note}`);
}
