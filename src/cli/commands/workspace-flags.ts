/** The flags that say what of a work tree comes along, shared by run and workspace import. */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { ImportWorkspace, WorkspaceBootstrap } from "../../api/types/workspaces.ts";
import { formatBytes, parseWholeNumber } from "../../model/quantities.ts";
import { validateGuestPath } from "../../model/workspace.ts";
import { type BootstrapFlags, bootstrapLines } from "../bootstrap.ts";
import type { CliContext } from "../context.ts";

export interface WorkspaceFlags {
  readonly guestPath?: string;
  readonly branch?: string;
  readonly from?: string;
  readonly depth?: string;
  readonly includeUntracked?: boolean;
  readonly readonly?: boolean;
  readonly dryRun?: boolean;
}

/** Their names as the program has them: none of them means anything without a path. */
export const WORKSPACE_FLAGS: readonly (keyof WorkspaceFlags)[] = [
  "guestPath",
  "branch",
  "from",
  "depth",
  "includeUntracked",
  "readonly",
  "dryRun",
];

export function addWorkspaceOptions(command: Command): Command {
  return command
    .option("--guest-path <path>", "where the work tree goes (default: /root/ and its name)")
    .option("--branch <name>", "start a branch in the guest")
    .option("--from <revision>", "what that branch starts at (default: what is checked out)")
    .option("--depth <n>", "so many commits of the present branch (default: all of everything)")
    .option("--include-untracked", "with files that git neither tracks nor ignores")
    .option("--readonly", "nothing of it is writable in the guest")
    .option("--dry-run", "list what would travel, and make nothing");
}

/** Checks every flag. Errors: `invalid_argument`. */
export function importWorkspace(path: string, flags: WorkspaceFlags): ImportWorkspace {
  return {
    path: resolve(path),
    guestPath: flags.guestPath === undefined ? undefined : validateGuestPath(flags.guestPath),
    branch: flags.branch,
    from: flags.from,
    depth:
      flags.depth === undefined
        ? undefined
        : parseWholeNumber(flags.depth, "--depth", { min: 1, max: 1_000_000 }),
    includeUntracked: flags.includeUntracked,
    readonly: flags.readonly,
  };
}

interface Previewed {
  readonly workspace: ImportWorkspace;
  /** What is to be run, where that is wanted. */
  readonly bootstrap?: WorkspaceBootstrap | undefined;
}

/** `--dry-run`: the names on stdout, the rest on stderr. */
export async function printPreview(
  ctx: CliContext,
  { workspace, bootstrap }: Previewed,
  flags: BootstrapFlags & { readonly json?: boolean },
): Promise<void> {
  const preview = await (await ctx.client()).previewWorkspace(workspace);
  if (flags.json === true) return ctx.printJson({ ...preview, bootstrap });
  if (preview.files.length > 0) ctx.print(preview.files.join("\n"));
  for (const note of preview.notes) ctx.say(note);
  const { files, bytes, refs, guestPath, branch, head } = preview;
  const at = `${branch ?? "no branch"} at ${head?.slice(0, 12) ?? "no commit yet"}`;
  if (bootstrap !== undefined) for (const line of bootstrapLines(bootstrap, flags)) ctx.say(line);
  ctx.say(`${files.length} files (${formatBytes(bytes)}), ${refs} branches and tags, ${at}, to ${guestPath}`);
}
