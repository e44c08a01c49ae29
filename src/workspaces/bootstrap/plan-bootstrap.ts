/** What a work tree says of its VM, read from what would travel; nothing is run. */
import { type Bootstrap, isInputPath, MAX_SETUP_INPUTS, type SetupStep } from "../../model/bootstrap.ts";
import type { WorkspaceWish } from "../../model/workspace.ts";
import { resolveCommit } from "../refs.ts";
import { findRepository } from "../repository.ts";
import { gitOf } from "../survey.ts";
import { BANGER_TOML, parseBangerToml } from "./banger-toml.ts";
import { DEVCONTAINER_FILES, parseDevcontainer } from "./devcontainer.ts";
import { filesOfCommit, filesOnDisk, type TreeFiles } from "./tree-files.ts";

/** Files of mise and asdf: one of them means that there are tools to install. */
const TOOL_FILES = [".mise.toml", "mise.toml", ".tool-versions"] as const;

const NOTHING: ReturnType<typeof parseBangerToml> = { settings: {}, reserved: [], steps: [], inputs: [] };

/**
 * Tools first, then what the devcontainer says, then `setup`. Errors: those of `findRepository`, `invalid_argument`,
 * `resource_exhausted`.
 */
export async function planBootstrap(wish: WorkspaceWish, signal: AbortSignal): Promise<Bootstrap> {
  const repository = await findRepository(wish.path, signal);
  const git = gitOf(repository, signal);
  const files =
    wish.from === undefined
      ? filesOnDisk(repository.top)
      : filesOfCommit(git, await resolveCommit(git, wish.from));
  const own = await files.read(BANGER_TOML);
  const { settings, reserved, steps: last, inputs } = own === undefined ? NOTHING : parseBangerToml(own);
  const tools = await findAll(files, TOOL_FILES);
  const container = await findDevcontainer(files);
  const install: SetupStep[] = tools.length === 0 ? [] : [{ source: "tools", command: "mise install" }];
  const steps = [...install, ...container.steps, ...last];
  // Of a revision nothing is kept.
  const words = wish.from === undefined ? steps.flatMap(({ command }) => pathsIn(command)) : [];
  const named = await findAll(files, words);
  const all = [...new Set([...inputs, ...tools, ...named])];
  const { notes } = container;
  return { settings, reserved, steps, inputs: all.slice(0, MAX_SETUP_INPUTS), notes };
}

async function findAll(files: TreeFiles, paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of new Set(paths)) if (await files.has(path)) found.push(path);
  return found;
}

/** What may be a path of the tree, such as `scripts/setup.sh`, among the words of a command. */
function pathsIn(command: string): string[] {
  const words = command.split(/[\s'"`;&|()<>=]+/).map((word) => word.replace(/^(?:\.\/)+/, ""));
  return words.filter(isInputPath).slice(0, MAX_SETUP_INPUTS);
}

async function findDevcontainer(files: TreeFiles): Promise<ReturnType<typeof parseDevcontainer>> {
  for (const path of DEVCONTAINER_FILES) {
    const bytes = await files.read(path);
    if (bytes !== undefined) return parseDevcontainer(bytes, path);
  }
  return { steps: [], notes: [] };
}
