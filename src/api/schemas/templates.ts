/** Bodies about templates. */
import { z } from "zod";
import type { Template } from "../types/templates.ts";

export const TemplateSchema: z.ZodType<Template> = z
  .strictObject({
    id: z.string(),
    image: z.string().describe("The name that the image had"),
    imageDigest: z.string(),
    vcpus: z.int(),
    memoryMib: z.int(),
    diskMib: z.int(),
    driver: z.string(),
    workspace: z.string().optional().describe("The work tree of the host whose setup has run in it"),
    sizeBytes: z.int().describe("What it takes of the host's disk"),
    createdAt: z.int().describe("Unix milliseconds"),
    usedAt: z.int(),
    pooled: z.int().describe("Clones of it that wait in the warm pool"),
  })
  .meta({ id: "Template" });

export const TemplateListSchema: z.ZodType<{ templates: readonly Template[] }> = z
  .strictObject({ templates: z.array(TemplateSchema) })
  .meta({ id: "TemplateList" });

export const PrunedSchema: z.ZodType<{ removed: number }> = z
  .strictObject({ removed: z.int() })
  .meta({ id: "Pruned" });
