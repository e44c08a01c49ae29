/** `forward`: connections carried between this host and a VM, for as long as the command runs. */
import type { Command } from "commander";
import { BangerError } from "../../model/errors.ts";
import { validateVmRef } from "../../model/names.ts";
import { type Forward, forwardFromGuest, forwardToGuest } from "../../sdk/forward.ts";
import type { CliContext } from "../context.ts";
import { type ForwardSpec, parseForward } from "../forward-spec.ts";
import { renderError } from "../render/error.ts";
import { collect } from "./repeatable.ts";

export function defineForward(program: Command, ctx: CliContext): void {
  program
    .command("forward")
    .summary("carry connections between this host and a VM")
    .description(
      "Listens on this host and connects in the VM, until it is interrupted. Only 127.0.0.1 is listened on unless an address is " +
        "given. Works in every network mode: the connections ride the agent's channel.",
    )
    .argument("<vm>", "name, id or id prefix")
    .argument("[ports...]", "[ADDRESS:]PORT:[ADDRESS:]PORT, here and in the VM, or one port for both")
    .option(
      "-R, --reverse <ports>",
      "listen in the VM and connect here: GUEST:HOST, may be repeated",
      collect,
      [],
    )
    .addHelpText(
      "after",
      `
Examples:
  banger forward web 8080:80              http://127.0.0.1:8080 is port 80 of the VM
  banger forward web 0:80                 on a free port, which is printed
  banger forward web 5432 6379            several, under their own numbers
  banger forward web -R 9000:9000         port 9000 of the VM is ours`,
    )
    .action(async (vm: string, ports: string[], { reverse }: { reverse: string[] }) => {
      const name = validateVmRef(vm);
      const there = ports.map(parseForward);
      const back = reverse.map(parseForward);
      if (there.length + back.length === 0) {
        throw new BangerError("invalid_argument", "forward needs ports", {
          cure: `say which, such as: banger forward ${name} 8080:80`,
          details: { field: "ports" },
        });
      }
      await run(ctx, name, { there, back });
    });
}

async function run(
  ctx: CliContext,
  vm: string,
  { there, back }: { readonly there: readonly ForwardSpec[]; readonly back: readonly ForwardSpec[] },
): Promise<void> {
  const interrupted = Promise.withResolvers<void>();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => interrupted.resolve());
  const client = await ctx.client();
  const { state } = await client.showVm(vm);
  if (state !== "running") {
    throw new BangerError("failed_precondition", `${vm} is ${state}`, {
      cure:
        state === "paused" ? `continue it with: banger resume ${vm}` : `start it with: banger start ${vm}`,
    });
  }
  const guest = client.files(vm);
  const onProblem = (error: BangerError): void => ctx.say(renderError(error));
  await using stack = new AsyncDisposableStack();
  const forwards: Forward[] = [];
  for (const { listen, target } of there) {
    const endpoint = { port: target.port, ...(target.host === "127.0.0.1" ? {} : { address: target.host }) };
    const forward = stack.use(await forwardToGuest(guest, listen, { target: endpoint, onProblem }));
    forwards.push(forward);
    const by = target.host === "127.0.0.1" ? "" : `, to ${shownHost(target.host)} from there`;
    ctx.print(`${shownHost(listen.host)}:${forward.port} -> ${vm}:${target.port}${by}`);
  }
  for (const { listen, target } of back) {
    const endpoint = { address: listen.host, port: listen.port };
    const forward = stack.use(await forwardFromGuest(guest, endpoint, { target, onProblem }));
    forwards.push(forward);
    ctx.print(`${vm}:${forward.port} -> ${shownHost(target.host)}:${target.port}`);
  }
  await Promise.race([interrupted.promise, ...forwards.map((forward) => forward.failed)]);
}

/** An address as it stands before a port. */
function shownHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
