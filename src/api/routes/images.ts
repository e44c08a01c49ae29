/** What the operations on images and kernels take and give. */
import { z } from "zod";
import type { Contracts } from "../contract.ts";
import {
  CatalogSchema,
  CommitImageSchema,
  ImageDetailsSchema,
  PruneImagesSchema,
  PruneReportSchema,
  TagImageSchema,
  VerifyReportSchema,
} from "../schemas/image-care.ts";
import {
  ExportImageQuerySchema,
  ImageListSchema,
  ImageSchema,
  ImportImageSchema,
  PullImageSchema,
} from "../schemas/images.ts";
import {
  ImportKernelSchema,
  KernelListSchema,
  KernelSchema,
  RemovedKernelSchema,
} from "../schemas/kernels.ts";

export const IMAGE_ROUTES: Contracts<"image" | "catalog" | "kernel"> = {
  "image.list": { summary: "The images known by name", answer: ImageListSchema },
  "image.pull": {
    summary: "Fetches or builds an image of the catalog",
    body: PullImageSchema,
    answer: ImageSchema,
  },
  "image.import": {
    summary: "Makes an image of what a tar holds: docker save, an OCI layout, a root file system",
    body: ImportImageSchema,
    answer: ImageSchema,
  },
  "image.export": {
    summary: "An image as a tar: an OCI layout that docker load takes too, or its root file system",
    query: ExportImageQuerySchema,
    answer: z.string(),
  },
  "image.remove": {
    summary: "Forgets an image name, and its content when nothing else uses it",
    answer: ImageSchema,
  },
  "image.show": {
    summary: "One image: what it runs, what it is made of, who uses it",
    answer: ImageDetailsSchema,
  },
  "image.tag": {
    summary: "Gives an image another name; what that stood for goes when nothing else uses it",
    body: TagImageSchema,
    answer: ImageSchema,
  },
  "image.prune": {
    summary: "Removes images and blobs that nothing uses, and says why the others stay",
    body: PruneImagesSchema,
    answer: PruneReportSchema,
  },
  "image.verify": {
    summary: "Reads all images, blobs and kernels, and says which are not what their digests say",
    answer: VerifyReportSchema,
  },
  "image.commit": {
    summary: "Makes an image of a stopped or running VM: its image, and what it wrote, as one more layer",
    body: CommitImageSchema,
    answer: ImageSchema,
  },
  catalog: { summary: "The images that can be made by name", answer: CatalogSchema },
  "kernel.list": { summary: "The kernels known by name", answer: KernelListSchema },
  "kernel.show": { summary: "One kernel, and which VMs boot it", answer: KernelSchema },
  "kernel.pull": {
    summary: "Fetches Debian's current cloud kernel, which is the default",
    answer: KernelSchema,
  },
  "kernel.import": {
    summary: "Takes over a kernel from files, or the host's own",
    body: ImportKernelSchema,
    answer: KernelSchema,
  },
  "kernel.remove": { summary: "Forgets a kernel that no VM boots", answer: RemovedKernelSchema },
};
