/** `ssh`, `ssh-config` and `ssh-proxy`: VMs by way of the host's own ssh, for what speaks nothing else. */
import type { Command } from "commander";
import { BangerError } from "../../model/errors.ts";
import { validateVmRef } from "../../model/names.ts";
import { validateUser } from "../../model/spec.ts";
import { SSH_SUFFIX } from "../../model/ssh.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { sshConfigPath, sshUserConfigPath } from "../places.ts";
import { collect } from "./repeatable.ts";

interface SshFlags {
  readonly forwardAgent?: boolean;
  readonly tty?: boolean;
  readonly user?: string;
  readonly command: boolean;
  readonly local: readonly string[];
  readonly remote: readonly string[];
  readonly dynamic: readonly string[];
  readonly option: readonly string[];
}

export function defineSsh(program: Command, ctx: CliContext): void {
  program
    .command("ssh")
    .summary("enter a running VM with ssh")
    .description(
      "Runs the host's ssh to a running VM. It goes through banger itself: the image needs no sshd, the VM no network and no port. " +
        "For a plain shell, banger shell starts faster.",
    )
    .usage("[flags] VM [-- COMMAND...]")
    .argument("<vm>", "name or id")
    .option("-A, --forward-agent", "let the VM use your ssh-agent while it lasts")
    .option("-t, --tty", "give the command a terminal")
    .option("-u, --user <user>", "who to be in the VM (default: root)")
    .option("-N, --no-command", "run nothing, only forward")
    .option("-L, --local <spec>", "forward a port of this host, as ssh has it", collect, [])
    .option("-R, --remote <spec>", "forward a port of the VM", collect, [])
    .option("-D, --dynamic <spec>", "a SOCKS proxy on this host", collect, [])
    .option("-o, --option <option>", "any option of ssh_config(5), may be repeated", collect, [])
    .addHelpText(
      "after",
      `
Examples:
  banger ssh web                          a shell
  banger ssh web -- uname -a              a command
  banger ssh -A web                       with your ssh-agent
  banger ssh -N -L 8080:localhost:80 web  only forward
  banger ssh-config --install             let ssh, scp, rsync and editors find NAME.vm`,
    )
    .action(async (vm: string, flags: SshFlags) => await enter(ctx, validateVmRef(vm), flags));
  program
    .command("ssh-config")
    .summary("let ssh, rsync and editors find VMs as NAME.vm")
    .description(
      "Prints a configuration for ssh that leads NAME.vm to the VM of that name, through banger. --install writes it to a file of " +
        "banger's own and adds one marked Include line to ~/.ssh/config; --uninstall takes exactly these away.",
    )
    .option("--install", "add the Include line")
    .option("--uninstall", "take it away")
    .addHelpText(
      "after",
      `
Examples:
  banger ssh-config --install     then: ssh web.vm, rsync -a src/ web.vm:/srv/, sftp web.vm
  banger ssh-config --uninstall
  banger ssh-config               print what would be included`,
    )
    .action(async (flags: { install?: boolean; uninstall?: boolean }) => await configure(ctx, flags));
  program
    .command("ssh-proxy", { hidden: true })
    .summary("carry one ssh connection on stdin and stdout")
    .description("Serves one ssh client on stdin and stdout; what ssh runs as its ProxyCommand.")
    .argument("<host>", "NAME.vm")
    .action(async (host: string) => {
      const { serveSsh, vmOfHost } = await import("../ssh/proxy.ts");
      await serveSsh(await ctx.client(), validateVmRef(vmOfHost(host)));
      // A command that was under way when the client went is the daemon's business now; stdin would keep this process.
      process.exit(0);
    });
}

async function enter(ctx: CliContext, ref: string, flags: SshFlags): Promise<void> {
  const { quoted, shellWord } = await import("../ssh/user-config.ts");
  const client = await ctx.client();
  const { name, ...keys } = await client.sshDoor(ref);
  const options = {
    ProxyCommand: [...proxy(ctx), keys.id].map(shellWord).join(" "),
    IdentityFile: quoted(keys.identityFile),
    IdentitiesOnly: "yes",
    UserKnownHostsFile: quoted(keys.knownHostsFile),
    GlobalKnownHostsFile: "/dev/null",
    StrictHostKeyChecking: "yes",
    HostKeyAlgorithms: "ssh-ed25519",
    CheckHostIP: "no",
    ForwardAgent: flags.forwardAgent === true ? "yes" : "no",
  };
  const forwards = { L: flags.local, R: flags.remote, D: flags.dynamic };
  const argv = [
    "ssh",
    ...(flags.tty === true ? ["-t"] : []),
    ...(flags.command ? [] : ["-N"]),
    ...Object.entries(forwards).flatMap(([flag, specs]) => specs.flatMap((spec) => [`-${flag}`, spec])),
    ...Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
    ...flags.option.flatMap((option) => ["-o", option]),
    "-l",
    flags.user === undefined ? "root" : validateUser(flags.user),
    `${name}${SSH_SUFFIX}`,
    // One word is a script, as for ssh itself; several are an argv, which ssh would join.
    ...(ctx.command.length > 1
      ? [ctx.command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ")]
      : ctx.command),
  ];
  ctx.exitCode = await run(argv);
}

async function run(argv: readonly string[]): Promise<number> {
  const { spawn } = await import("node:child_process");
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: "inherit" });
  // ^C is for ssh, which has the same terminal; what is sent to us alone is passed on.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, pass);
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        reject(
          error.code === "ENOENT"
            ? new BangerError("unavailable", "this host has no ssh", {
                cure: "install it with: apt-get install openssh-client; or use banger shell",
                cause: error,
              })
            : error,
        );
      });
      child.once("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? EXIT.interrupted : 255)));
    });
  } finally {
    for (const signal of ["SIGTERM", "SIGHUP"] as const) process.off(signal, pass);
    process.off("SIGINT", ignore);
  }
}

async function configure(
  ctx: CliContext,
  { install = false, uninstall = false }: { readonly install?: boolean; readonly uninstall?: boolean },
): Promise<void> {
  if (install && uninstall) {
    throw new BangerError("invalid_argument", "--install and --uninstall exclude each other", {
      cure: "give one of the two",
      details: { field: "install" },
    });
  }
  const { hostConfig } = await import("../ssh/user-config.ts");
  const { installInclude, removeInclude } = await import("../ssh/install.ts");
  const files = { user: sshUserConfigPath(process.env), ours: sshConfigPath(process.env) };
  if (uninstall) {
    ctx.say(
      removeInclude(files)
        ? `${files.user}: the line of banger is gone`
        : `${files.user} had no line of banger`,
    );
    return;
  }
  const keys = await (await ctx.client()).sshKeys();
  const text = hostConfig({ proxy: proxy(ctx), ...keys });
  if (!install) return ctx.write(text);
  installInclude(files, text);
  return ctx.say(`${files.user} includes ${files.ours}; enter a VM with: ssh NAME.vm`);
}

/** The argv that serves a host; the state of another BANGER_HOME has its own keys and VMs. */
function proxy(ctx: CliContext): string[] {
  const home = process.env["BANGER_HOME"];
  const env = home === undefined || home === "" ? [] : ["env", `BANGER_HOME=${home}`];
  return [...env, ...ctx.self, "ssh-proxy"];
}
