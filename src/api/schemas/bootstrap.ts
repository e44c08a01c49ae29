/** Bodies about what a work tree says of its VM. */
import { z } from "zod";
import { MAX_SETUP_COMMAND, MAX_SETUP_STEPS, SETUP_SOURCES, type SetupStep } from "../../model/bootstrap.ts";
import type { WorkspaceBootstrap } from "../types/workspaces.ts";
import { NetworkWishSchema } from "./network.ts";
import { PublishedPortSchema } from "./ports.ts";

const SetupStepSchema: z.ZodType<SetupStep> = z
  .strictObject({
    source: z.enum(SETUP_SOURCES).describe("Of tools it is only run where the guest has mise"),
    command: z
      .string()
      .min(1)
      .max(MAX_SETUP_COMMAND)
      .refine((text) => !text.includes("\0"), "holds a NUL")
      .describe("Run by sh -c, as root, in the workspace"),
  })
  .meta({ id: "SetupStep" });

export const SetupSchema: z.ZodType<readonly SetupStep[]> = z.array(SetupStepSchema).max(MAX_SETUP_STEPS);

export const WorkspaceBootstrapSchema: z.ZodType<WorkspaceBootstrap> = z
  .strictObject({
    settings: z.strictObject({
      image: z.string().optional(),
      vcpus: z.int().optional(),
      memoryMib: z.int().optional(),
      diskMib: z.int().optional(),
      ports: z.array(PublishedPortSchema).optional(),
      network: NetworkWishSchema.optional().describe("Never wider than the default"),
      env: z.record(z.string(), z.string()).optional(),
    }),
    reserved: z
      .array(z.strictObject({ field: z.enum(["image", "network", "ports"]), flag: z.string() }))
      .describe("What it asks for and only a user may give"),
    steps: SetupSchema,
    notes: z.array(z.string()).describe("What it says and nothing is made of"),
  })
  .meta({ id: "WorkspaceBootstrap" });
