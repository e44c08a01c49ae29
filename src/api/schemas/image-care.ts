/** Bodies about what images are, who uses them, and what is wrong with them. */
import { z } from "zod";
import { MAX_IMAGE_NAME, validateImageName } from "../../model/image-reference.ts";
import { validateVmRef } from "../../model/names.ts";
import type { ImageConfig } from "../../model/spec.ts";
import type {
  CatalogImage,
  CommitImage,
  Damage,
  ImageDetails,
  PruneImages,
  PruneItem,
  TagImage,
  VerifyReport,
} from "../types/image-care.ts";
import { ruled } from "./fields.ts";

const ImageConfigSchema: z.ZodType<ImageConfig> = z
  .strictObject({
    entrypoint: z.array(z.string()).optional(),
    cmd: z.array(z.string()).optional(),
    env: z.record(z.string(), z.string()).optional(),
    workdir: z.string().optional(),
    user: z.string().optional(),
    exposedPorts: z.array(z.string()).optional(),
    volumes: z.array(z.string()).optional(),
    stopSignal: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  })
  .meta({ id: "ImageConfig" });

export const ImageDetailsSchema: z.ZodType<ImageDetails> = z
  .strictObject({
    name: z.string(),
    digest: z.string().describe("sha256 of the root file system"),
    sizeBytes: z.int(),
    source: z.string(),
    createdAt: z.int().describe("Unix milliseconds"),
    names: z.array(z.string()).describe("All names of its content"),
    vms: z.array(z.string()).describe("VMs made from it, at most five"),
    usable: z.boolean().describe("False: its content is damaged or gone"),
    config: ImageConfigSchema,
    manifestDigest: z.string().optional().describe("Of an image that came as an OCI image"),
    blobs: z
      .array(z.strictObject({ digest: z.string(), sizeBytes: z.int().describe("0: it is gone") }))
      .describe("Manifest, configuration, layers"),
  })
  .meta({ id: "ImageDetails" });

export const TagImageSchema: z.ZodType<TagImage> = z
  .strictObject({ name: ruled(validateImageName, MAX_IMAGE_NAME).describe("The new name") })
  .meta({ id: "TagImage" });

export const CommitImageSchema: z.ZodType<CommitImage> = z
  .strictObject({
    vm: ruled(validateVmRef, 64).describe("A name, an id, or an unambiguous id prefix"),
    name: ruled(validateImageName, MAX_IMAGE_NAME).describe("The new image's name"),
  })
  .meta({ id: "CommitImage" });

export const PruneImagesSchema: z.ZodType<PruneImages> = z
  .strictObject({
    all: z.boolean().optional().describe("Also images that have a name and no VM"),
    dryRun: z.boolean().optional().describe("Only say what would be removed"),
  })
  .meta({ id: "PruneImages" });

const PruneItemSchema: z.ZodType<PruneItem> = z
  .strictObject({
    kind: z.enum(["image", "blob", "download"]),
    id: z.string().describe("The digest; of a download its file's name"),
    names: z.array(z.string()),
    sizeBytes: z.int(),
    removed: z.boolean().describe("False: it stays"),
    reason: z.string().describe("Why it goes or stays"),
  })
  .meta({ id: "PruneItem" });

export const PruneReportSchema: z.ZodType<{ items: readonly PruneItem[] }> = z
  .strictObject({ items: z.array(PruneItemSchema) })
  .meta({ id: "PruneReport" });

const DamageSchema: z.ZodType<Damage> = z
  .strictObject({
    kind: z.enum(["image", "blob", "kernel"]),
    id: z.string().describe("The digest"),
    problem: z.string().describe("What is wrong"),
    names: z.array(z.string()).describe("Of the images that it concerns"),
    vms: z.array(z.string()).describe("VMs that cannot start"),
    cure: z.string().describe("What to do"),
  })
  .meta({ id: "Damage" });

export const VerifyReportSchema: z.ZodType<VerifyReport> = z
  .strictObject({
    checked: z.int().describe("How many images, blobs and kernels were read"),
    damages: z.array(DamageSchema),
  })
  .meta({ id: "VerifyReport" });

export const CatalogSchema: z.ZodType<{ images: readonly CatalogImage[] }> = z
  .strictObject({
    images: z.array(
      z.strictObject({
        name: z.string(),
        description: z.string(),
        here: z.boolean().describe("Whether it was made already"),
      }),
    ),
  })
  .meta({ id: "Catalog" });
