/** What the operations on volumes, snapshots, templates and workspaces take and give. */

import { z } from "zod";
import type { Contracts } from "../contract.ts";
import { WorkspaceBootstrapSchema } from "../schemas/bootstrap.ts";
import { CreateSnapshotSchema, SnapshotListSchema, SnapshotSchema } from "../schemas/snapshots.ts";
import { PrunedSchema, TemplateListSchema, TemplateSchema } from "../schemas/templates.ts";
import { CreateVolumeSchema, SetVolumeSchema, VolumeListSchema, VolumeSchema } from "../schemas/volumes.ts";
import {
  ExportWorkspaceQuerySchema,
  ImportWorkspaceSchema,
  PulledWorkspaceSchema,
  PullWorkspaceSchema,
  SyncedWorkspaceSchema,
  SyncWorkspaceSchema,
  WorkspacePreviewSchema,
  WorkspaceSchema,
} from "../schemas/workspaces.ts";

export const KEPT_ROUTES: Contracts<"volume" | "snapshot" | "template" | "workspace"> = {
  "volume.list": { summary: "All volumes, by name", answer: VolumeListSchema },
  "volume.create": { summary: "Makes an empty volume", body: CreateVolumeSchema, answer: VolumeSchema },
  "volume.show": { summary: "One volume, and who has it", answer: VolumeSchema },
  "volume.set": {
    summary: "Makes a volume larger that no running VM has",
    body: SetVolumeSchema,
    answer: VolumeSchema,
  },
  "volume.remove": { summary: "Deletes a volume that no VM names, and what is on it", answer: VolumeSchema },
  "snapshot.create": {
    summary: "Saves a VM as it is now; a running one goes on",
    body: CreateSnapshotSchema,
    answer: SnapshotSchema,
  },
  "snapshot.list": { summary: "All snapshots, oldest first", answer: SnapshotListSchema },
  "snapshot.show": { summary: "One snapshot, by name or id", answer: SnapshotSchema },
  "snapshot.remove": { summary: "Deletes a snapshot; VMs made from it live on", answer: SnapshotSchema },
  "workspace.preview": {
    summary: "What a copy of a git work tree would bring into a VM; nothing is made",
    body: ImportWorkspaceSchema,
    answer: WorkspacePreviewSchema,
  },
  "workspace.bootstrap": {
    summary: "What a work tree says of its VM: banger.toml, tools, devcontainer; nothing is run",
    body: ImportWorkspaceSchema,
    answer: WorkspaceBootstrapSchema,
  },
  "workspace.import": {
    summary: "Copies a git work tree with its history into a running VM",
    body: ImportWorkspaceSchema,
    answer: WorkspaceSchema,
  },
  "workspace.show": { summary: "The git work tree that a VM has a copy of", answer: WorkspaceSchema },
  "workspace.pull": {
    summary: "Takes the commits of a VM's workspace over as a branch of the host's repository",
    body: PullWorkspaceSchema,
    answer: PulledWorkspaceSchema,
  },
  "workspace.sync": {
    summary: "Sends what is new in the host's work tree to a VM's workspace",
    body: SyncWorkspaceSchema,
    answer: SyncedWorkspaceSchema,
  },
  "workspace.export": {
    summary: "What was done in a VM's workspace, as a patch for git apply --index",
    query: ExportWorkspaceQuerySchema,
    answer: z.string(),
    type: "text/x-patch",
    notes: true,
  },
  "template.list": {
    summary: "The templates for warm starts, the one used last first",
    answer: TemplateListSchema,
  },
  "template.remove": { summary: "Removes a template; what runs lives on", answer: TemplateSchema },
  "template.prune": {
    summary: "Removes all templates; they are made anew when missed",
    answer: PrunedSchema,
  },
};
