/** What a work tree says of its VM, read from what would travel; nothing is run. */
import type { Bootstrap, SetupStep } from "../../model/bootstrap.ts";
import type { WorkspaceWish } from "../../model/workspace.ts";
import { resolveCommit } from "../refs.ts";
import { findRepository } from "../repository.ts";
import { gitOf } from "../survey.ts";
import { BANGER_TOML, parseBangerToml } from "./banger-toml.ts";
import { DEVCONTAINER_FILES, parseDevcontainer } from "./devcontainer.ts";
import { filesOfCommit, filesOnDisk, type TreeFiles } from "./tree-files.ts";

/** Files of mise and asdf: one of them means that there are tools to install. */
const TOOL_FILES = [".mise.toml", "mise.toml", ".tool-versions"] as const;

const NOTHING: ReturnType<typeof parseBangerToml> = { settings: {}, reserved: [], steps: [] };

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
  const { settings, reserved, steps } = own === undefined ? NOTHING : parseBangerToml(own);
  const tools = await findTools(files);
  const container = await findDevcontainer(files);
  return { settings, reserved, steps: [...tools, ...container.steps, ...steps], notes: container.notes };
}

async function findTools(files: TreeFiles): Promise<readonly SetupStep[]> {
  for (const path of TOOL_FILES) {
    if (await files.has(path)) return [{ source: "tools", command: "mise install" }];
  }
  return [];
}

async function findDevcontainer(files: TreeFiles): Promise<ReturnType<typeof parseDevcontainer>> {
  for (const path of DEVCONTAINER_FILES) {
    const bytes = await files.read(path);
    if (bytes !== undefined) return parseDevcontainer(bytes, path);
  }
  return { steps: [], notes: [] };
}
