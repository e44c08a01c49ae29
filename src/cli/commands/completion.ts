/** `completion`: the scripts that make shells ask banger what to complete. */
import { Argument, type Command } from "commander";
import { complete } from "../complete.ts";
import type { CliContext } from "../context.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_banger() {
  local IFS=$'\\n'
  COMPREPLY=($(banger __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _banger banger`,
  zsh: `#compdef banger
_banger() {
  local -a candidates
  candidates=("\${(@f)$(banger __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a candidates
}
compdef _banger banger`,
  fish: `complete -c banger -f -a '(banger __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'`,
};

export function defineCompletion(program: Command, ctx: CliContext): void {
  program
    .command("completion")
    .summary("print a completion script")
    .description("Prints a script that completes commands, flags and the names of live VMs.")
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      "\nExamples:\n  source <(banger completion bash)\n  banger completion fish | source",
    )
    .action((shell: string) => ctx.print(SCRIPTS[shell] ?? ""));
  program
    .command("__complete", { hidden: true })
    .description("candidates for a shell's completion")
    .action(async () => {
      const candidates = await complete(program, ctx.command);
      if (candidates.length > 0) ctx.print(candidates.join("\n"));
    });
}
