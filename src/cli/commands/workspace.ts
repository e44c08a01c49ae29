/** `workspace`: git work trees into VMs, and what was done there back out. */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import type { PulledWorkspace, SyncedWorkspace } from "../../api/types/workspaces.ts";
import { validateVmRef } from "../../model/names.ts";
import { formatBytes } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { type LongFlags, runLong } from "./long.ts";
import {
  addWorkspaceOptions,
  importWorkspace,
  printPreview,
  type WorkspaceFlags,
} from "./workspace-flags.ts";

export function defineWorkspace(program: Command, ctx: CliContext): void {
  const workspace = program
    .command("workspace")
    .summary("git work trees into VMs, and what was done there back out")
    .description(
      "A workspace is a copy of a git work tree in a VM: its files as they are now, and its history.",
    )
    .addHelpText(
      "after",
      `
Examples:
  banger run ./app -- make test              make a VM with a workspace, and run a command in it
  banger workspace import web ./app          bring one into a VM that runs
  banger workspace export web -o work.patch  everything that was done there, as a patch
  banger workspace diff web | less           the same, to look at
  banger workspace sync web                  send what is new on the host
  banger workspace pull web                  its commits, as the branch banger/web
  banger workspace export web --submodule vendor/lib | git -C vendor/lib apply --index`,
    );
  addWorkspaceOptions(
    workspace
      .command("import")
      .description("copy a git work tree, with its history, into a running VM")
      .argument("<vm>", "name, id or id prefix")
      .argument("<path>", "a directory in the work tree"),
  )
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (vm: string, path: string, flags: WorkspaceFlags & LongFlags) => {
      const [ref, wish] = [validateVmRef(vm), importWorkspace(path, flags)];
      if (flags.dryRun === true) return await printPreview(ctx, { workspace: wish }, flags);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.importWorkspace(ref, wish, options);
        return { result, line: result.guestPath };
      });
    });
  workspace
    .command("show")
    .description("print what is known of a VM's workspace, as JSON")
    .argument("<vm>", "name, id or id prefix")
    .option("--json", "the same")
    .action(async (vm: string) => ctx.printJson(await (await ctx.client()).showWorkspace(validateVmRef(vm))));
  workspace
    .command("pull")
    .description("bring commits back as a branch; the work tree is not touched")
    .argument("<vm>", "name, id or id prefix")
    .option("--branch <name>", "the branch on the host (default: banger/ and the VM's name)")
    .option("--force", "also when the branch would lose commits")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (vm: string, flags: LongFlags & { branch?: string; force?: boolean }) => {
      const ref = validateVmRef(vm);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const { branch, force } = flags;
        const result = await client.pullWorkspace(ref, { branch, force }, options);
        if (flags.json !== true && flags.quiet !== true) sayPulled(ctx, vm, result);
        return { result, line: result.branch };
      });
    });
  workspace
    .command("sync")
    .description("send what is new in the host's work tree")
    .argument("<vm>", "name, id or id prefix")
    .option("--force", "also over what was changed in the guest")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (vm: string, flags: LongFlags & { force?: boolean }) => {
      const ref = validateVmRef(vm);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.syncWorkspace(ref, { force: flags.force }, options);
        return { result, line: syncedLine(result) };
      });
    });
  workspace
    .command("export")
    .description("everything that was done in a workspace, as a patch for: git apply --index")
    .argument("<vm>", "name, id or id prefix")
    .option(
      "--base <revision>",
      "compare with this, as the guest's repository has it (default: what arrived)",
    )
    .option("--submodule <path>", "of this submodule, and of nothing else; apply it there")
    .option("-o, --output <file>", "write it there, all or nothing (default: stdout)")
    .action(async (vm: string, { output, ...wish }: Wish & { output?: string }) => {
      const take = async (patch: AsyncIterable<Uint8Array>): Promise<void> =>
        output === undefined ? await ctx.writeAll(patch) : await writeWhole(output, patch);
      await exportFrom(ctx, vm, { ...wish, take });
    });
  workspace
    .command("diff")
    .description("show what was done in a workspace since it arrived")
    .argument("<vm>", "name, id or id prefix")
    .option("--submodule <path>", "in this submodule, and in nothing else")
    .action(async (vm: string, wish: Wish) => {
      await exportFrom(ctx, vm, { ...wish, take: async (patch) => await ctx.writeAll(patch) });
    });
}

interface Wish {
  readonly base?: string;
  readonly submodule?: string;
}

/** What is left out is said on stderr. */
async function exportFrom(
  ctx: CliContext,
  vm: string,
  { take, ...wish }: Wish & { readonly take: (patch: AsyncIterable<Uint8Array>) => Promise<void> },
): Promise<void> {
  const ref = validateVmRef(vm);
  const client = await ctx.client();
  await interruptible(async (signal) => {
    await take(await client.exportWorkspace(ref, { ...wish, signal, onNote: (note) => ctx.say(note) }));
  });
}

function syncedLine({ files, removed, bytes }: SyncedWorkspace): string {
  if (bytes === 0) return "nothing is new";
  const gone = removed === 0 ? "" : `, ${removed} removed`;
  return `${files} file${files === 1 ? "" : "s"} sent${gone} (${formatBytes(bytes)})`;
}

function sayPulled(
  ctx: CliContext,
  vm: string,
  { branch, head, commits, uncommitted, submodules, notes }: PulledWorkspace,
): void {
  for (const note of notes) ctx.say(note);
  for (const its of submodules) {
    if (its.branch !== undefined) ctx.say(`${its.path}: ${pulledLine({ ...its, branch: its.branch })}`);
    if (its.uncommitted)
      ctx.say(
        `${its.path}: what is not committed stays there; take it out with: banger workspace export --base HEAD --submodule ${its.path} ${vm}`,
      );
  }
  ctx.say(pulledLine({ branch, head, commits }));
  if (uncommitted)
    ctx.say(`what is not committed stays there; take it out with: banger workspace export --base HEAD ${vm}`);
}

interface MovedBranch {
  readonly branch: string;
  readonly head?: string | undefined;
  readonly commits: number;
}

function pulledLine({ branch, head = "", commits }: MovedBranch): string {
  return `${branch} is at ${head.slice(0, 12)}: ${commits} new commit${commits === 1 ? "" : "s"}`;
}

/** Writes aside, and takes the name when it is whole. */
async function writeWhole(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString("hex")}.part`;
  const fd = openSync(aside, "wx");
  try {
    // Where little room is left, write(2) may take a part only.
    for await (const piece of content) writeFileSync(fd, piece);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
