/** Bodies about images. */
import { z } from "zod";
import { validateImageName } from "../../model/names.ts";
import { type Image, type ImportImage, type PullImage } from "../types.ts";
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
  .strictObject({ name: ruled(validateImageName, 256) })
  .meta({ id: "PullImage" });

export const ImportImageSchema: z.ZodType<ImportImage> = z
  .strictObject({
    name: ruled(validateImageName, 256),
    path: z
      .string()
      .max(4096)
      .startsWith("/")
      .describe("An absolute path of a root file system tar on the host"),
  })
  .meta({ id: "ImportImage" });
