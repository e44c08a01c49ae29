/** Bodies about what a work tree says of its VM. */
import { z } from "zod";
import {
  isInputPath,
  MAX_SETUP_COMMAND,
  MAX_SETUP_INPUTS,
  MAX_SETUP_STEPS,
  SETUP_SOURCES,
  type Setup,
  type SetupStep,
} from "../../model/bootstrap.ts";
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

const steps = z.array(SetupStepSchema).max(MAX_SETUP_STEPS);
const inputs = z
  .array(z.string().refine(isInputPath, "is no path below the top of the work tree"))
  .max(MAX_SETUP_INPUTS)
  .describe("Files of the work tree: what the setup made is not used again when one of them has changed");

export const SetupSchema: z.ZodType<Setup> = z.strictObject({ steps, inputs }).meta({ id: "Setup" });

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
    steps,
    inputs,
    notes: z.array(z.string()).describe("What it says and nothing is made of"),
  })
  .meta({ id: "WorkspaceBootstrap" });
