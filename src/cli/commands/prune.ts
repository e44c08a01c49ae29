/** `prune`: removes every VM that is stopped or in error. */
import type { Command } from "commander";
import { BangerError } from "../../model/errors.ts";
import type { CliContext } from "../context.ts";
import { createInterrupted } from "../interrupt.ts";
import { stderr } from "../output.ts";
import { forEachRef } from "../refs.ts";

export function definePrune(program: Command, ctx: CliContext): void {
  program
    .command("prune")
    .summary("delete all stopped VMs")
    .description("Deletes all VMs that are stopped or in error, with their disks. Those that are up stay.")
    .option("-f, --force", "do not ask")
    .action(async ({ force = false }: { force?: boolean }) => {
      const client = await ctx.client();
      const stopped = (await client.listVms()).filter((vm) => vm.state === "stopped" || vm.state === "error");
      if (stopped.length === 0) return ctx.say("nothing is stopped");
      const names = stopped.map((vm) => vm.name);
      if (!force && !(await agreed(ctx, names))) return undefined;
      return await forEachRef(
        ctx,
        stopped.map((vm) => vm.id),
        async (id) => (await client.removeVm(id)).name,
      );
    });
}

async function agreed(ctx: CliContext, names: readonly string[]): Promise<boolean> {
  ctx.say(`These VMs and their disks will be deleted: ${names.join(", ")}`);
  if (!process.stdin.isTTY) {
    throw new BangerError("failed_precondition", "there is no terminal to ask on", {
      cure: "delete them without asking: banger prune -f",
    });
  }
  const { createInterface } = await import("node:readline/promises");
  const terminal = createInterface({ input: process.stdin, output: stderr() });
  try {
    return /^y(es)?$/i.test((await terminal.question("Delete them? [y/N] ")).trim());
  } catch (error) {
    // Ctrl-C and Ctrl-D are its only ends without an answer.
    if (!(error instanceof Error) || error.name !== "AbortError") throw error;
    ctx.say("");
    throw createInterrupted();
  } finally {
    terminal.close();
  }
}
