/** Bodies about workspaces: what is to be copied into a VM, what would be, and what became of it. */
import { z } from "zod";
import { validateGuestPath } from "../../model/workspace.ts";
import type {
  ImportWorkspace,
  PulledWorkspace,
  PullWorkspace,
  SyncedWorkspace,
  SyncWorkspace,
  Workspace,
  WorkspacePreview,
} from "../types/workspaces.ts";
import { ruled, whole } from "./fields.ts";

const MAX_TEXT = 4096;
const HostPath = z
  .string()
  .max(MAX_TEXT)
  .regex(/^\/[^\0]*$/, "is no absolute path")
  .describe("A directory in the work tree of a repository, on the host");
const Revision = z
  .string()
  .min(1)
  .max(1024)
  .refine((text) => !text.includes("\0"), "holds a NUL");

export const ImportWorkspaceSchema: z.ZodType<ImportWorkspace> = z
  .strictObject({
    path: HostPath,
    guestPath: ruled(validateGuestPath, 1024)
      .optional()
      .describe("Absent: /root/ and the name of the work tree"),
    branch: Revision.optional().describe("A branch that is made in the guest"),
    from: Revision.optional().describe("The revision that it starts at; absent: what is checked out"),
    depth: whole({ min: 1, max: 1_000_000 })
      .optional()
      .describe("So many commits of the present branch, and no other branches; absent: everything"),
    includeUntracked: z.boolean().optional().describe("With files that git neither tracks nor ignores"),
    readonly: z.boolean().optional().describe("Nothing of it is writable in the guest"),
  })
  .meta({ id: "ImportWorkspace" });

export const WorkspaceSchema: z.ZodType<Workspace> = z
  .strictObject({
    vm: z.string().describe("The VM's id"),
    hostPath: z.string(),
    guestPath: z.string(),
    head: z.string().optional().describe("The commit that was checked out when it was sent"),
    branch: z.string().optional(),
    readonly: z.boolean(),
    sentAt: z.int().describe("Unix milliseconds"),
    submodules: z
      .array(z.strictObject({ path: z.string(), head: z.string().optional(), branch: z.string().optional() }))
      .describe("Those that travelled, by the path of their work tree below the top"),
  })
  .meta({ id: "Workspace" });

export const WorkspacePreviewSchema: z.ZodType<WorkspacePreview> = z
  .strictObject({
    hostPath: z.string(),
    guestPath: z.string(),
    head: z.string().optional(),
    branch: z.string().optional(),
    files: z.array(z.string()).describe("Below the top; names with odd bytes quoted as git does it"),
    bytes: z.int().describe("Of the files, without the history"),
    refs: z.int().describe("Branches and tags"),
    notes: z.array(z.string()),
  })
  .meta({ id: "WorkspacePreview" });

export const PullWorkspaceSchema: z.ZodType<PullWorkspace> = z
  .strictObject({
    branch: Revision.optional().describe("On the host; absent: banger/ and the VM's name"),
    force: z.boolean().optional().describe("Also when the branch would lose commits"),
  })
  .meta({ id: "PullWorkspace" });

export const PulledWorkspaceSchema: z.ZodType<PulledWorkspace> = z
  .strictObject({
    branch: z.string(),
    head: z.string(),
    commits: z.int().describe("That the branch did not have"),
    uncommitted: z.boolean().describe("Something in the guest is not committed, and did not come"),
    submodules: z
      .array(
        z.strictObject({
          path: z.string(),
          branch: z
            .string()
            .optional()
            .describe("Of its repository on the host; absent: no commits of its own"),
          head: z.string().optional(),
          commits: z.int(),
          uncommitted: z.boolean(),
        }),
      )
      .describe("Those in which something was done"),
    notes: z.array(z.string()),
  })
  .meta({ id: "PulledWorkspace" });

export const SyncWorkspaceSchema: z.ZodType<SyncWorkspace> = z
  .strictObject({ force: z.boolean().optional().describe("Also over what was changed in the guest") })
  .meta({ id: "SyncWorkspace" });

export const SyncedWorkspaceSchema: z.ZodType<SyncedWorkspace> = z
  .strictObject({
    workspace: WorkspaceSchema,
    files: z.int().describe("Files that were sent"),
    removed: z.int(),
    bytes: z.int().describe("Everything that went to the guest"),
    notes: z.array(z.string()),
  })
  .meta({ id: "SyncedWorkspace" });

/** Query of `workspace.export`. */
export const ExportWorkspaceQuerySchema: z.ZodType<{
  base?: string | undefined;
  submodule?: string | undefined;
}> = z.strictObject({
  base: Revision.optional(),
  submodule: z
    .string()
    .min(1)
    .max(MAX_TEXT)
    .optional()
    .describe("The path of one: the patch is of it, and of nothing else"),
});
