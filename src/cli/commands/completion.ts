/** `completion`: the scripts that make shells ask banger what to complete. */
import { Argument, type Command } from "commander";
import { joinBashWords } from "../bash-words.ts";
import { complete } from "../complete.ts";
import type { CliContext } from "../context.ts";
import { liveNames } from "../live-names.ts";

/** Where there are no candidates the shell offers files. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_banger() {
  local IFS=$'\\n'
  COMPREPLY=($(banger __complete --bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ \${COMPREPLY-} == *: ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _banger banger`,
  zsh: `#compdef banger
_banger() {
  local -a candidates
  candidates=(\${(f)"$(banger __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#candidates )); then compadd -a candidates; else _files; fi
}
compdef _banger banger`,
  fish: `function __banger_complete
  set -l candidates (banger __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)
  if set -q candidates[1]
    string join \\n -- $candidates
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c banger -f -a '(__banger_complete)'`,
};

export function defineCompletion(program: Command, ctx: CliContext): void {
  program
    .command("completion")
    .summary("print a completion script")
    .description(
      "Prints a script that completes commands, flags, and the names of VMs, images, kernels, volumes, snapshots and templates. It asks " +
        "the daemon that runs, and starts none.",
    )
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      "\nExamples:\n  source <(banger completion bash)\n  banger completion fish | source",
    )
    .action((shell: string) => ctx.print(SCRIPTS[shell] ?? ""));
  program
    .command("__complete", { hidden: true })
    .description("candidates for a shell's completion")
    .option("--bash", "the words are as bash takes them apart")
    .action(async ({ bash = false }: { bash?: boolean }) => {
      const { words, cut } = bash ? joinBashWords(ctx.command) : { words: ctx.command, cut: 0 };
      const candidates = (await complete(program, words, liveNames))
        .map((candidate) => candidate.slice(cut))
        .filter((candidate) => candidate !== "");
      if (candidates.length > 0) ctx.print(candidates.join("\n"));
    });
}
