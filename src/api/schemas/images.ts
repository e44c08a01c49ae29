/** Bodies about images. */
import { z } from "zod";
import { MAX_IMAGE_NAME, validateImageName } from "../../model/image-reference.ts";
import type { ExportImageQuery, Image, ImportImage, PullImage } from "../types/images.ts";
import { ruled } from "./fields.ts";

export const ImageSchema: z.ZodType<Image> = z
  .strictObject({
    name: z.string(),
    digest: z.string().describe("sha256 of the root file system"),
    sizeBytes: z.int(),
    source: z.string(),
    createdAt: z.int().describe("Unix milliseconds"),
  })
  .meta({ id: "Image" });

export const ImageListSchema: z.ZodType<{ images: readonly Image[] }> = z
  .strictObject({ images: z.array(ImageSchema) })
  .meta({ id: "ImageList" });

export const PullImageSchema: z.ZodType<PullImage> = z
  .strictObject({
    name: ruled(validateImageName, MAX_IMAGE_NAME).describe("Of the catalog, or a reference to a registry"),
    platform: z.string().max(255).optional().describe("os/architecture; absent: what runs here"),
  })
  .meta({ id: "PullImage" });

export const ImportImageSchema: z.ZodType<ImportImage> = z
  .strictObject({
    name: ruled(validateImageName, MAX_IMAGE_NAME),
    path: z
      .string()
      .max(4096)
      .startsWith("/")
      .describe("An absolute path of a tar, or of a named pipe that brings one, on the host"),
  })
  .meta({ id: "ImportImage" });

export const ExportImageQuerySchema: z.ZodType<ExportImageQuery> = z.strictObject({
  format: z.enum(["oci", "rootfs"]).optional().describe("Absent: oci"),
});
