/** The client's operations on images and kernels. */
import type {
  CatalogImage,
  CommitImage,
  ImageDetails,
  PruneImages,
  PruneItem,
  VerifyReport,
} from "../../api/types/image-care.ts";
import type { ExportImageQuery, Image, ImportImage, PullImage } from "../../api/types/images.ts";
import type { ImportKernel, Kernel } from "../../api/types/kernels.ts";
import type { CallOptions, LongCallOptions } from "../calls.ts";
import { HostClient } from "./host.ts";

export abstract class ImageClient extends HostClient {
  async listImages(options?: CallOptions): Promise<readonly Image[]> {
    const { images } = await this.calls.json<{ images: readonly Image[] }>("image.list", { ...options });
    return images;
  }

  async pullImage(wish: PullImage, options?: LongCallOptions): Promise<Image> {
    return await this.calls.progress("image.pull", { ...options, body: wish });
  }

  async importImage(wish: ImportImage, options?: LongCallOptions): Promise<Image> {
    return await this.calls.progress("image.import", { ...options, body: wish });
  }

  /** A tar; reading it to its end without an error means that it is whole. */
  async exportImage(
    name: string,
    { format, ...options }: CallOptions & ExportImageQuery = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.calls.send("image.export", {
      ...options,
      path: { image: name },
      ...(format === undefined ? {} : { query: { format } }),
    });
    return answer.body;
  }

  async removeImage(name: string, options?: CallOptions): Promise<Image> {
    return await this.calls.json("image.remove", { ...options, path: { image: name } });
  }

  async showImage(name: string, options?: CallOptions): Promise<ImageDetails> {
    return await this.calls.json("image.show", { ...options, path: { image: name } });
  }

  /** Gives the image `name` another name. */
  async tagImage(name: string, newName: string, options?: CallOptions): Promise<Image> {
    return await this.calls.json("image.tag", { ...options, path: { image: name }, body: { name: newName } });
  }

  /** Makes an image of a stopped or running VM. */
  async commitImage(wish: CommitImage, options?: LongCallOptions): Promise<Image> {
    return await this.calls.progress("image.commit", { ...options, body: wish });
  }

  /** Removes what nothing uses; the answer also says what stays, and why. */
  async pruneImages(wish: PruneImages = {}, options?: CallOptions): Promise<readonly PruneItem[]> {
    const answer = this.calls.json<{ items: readonly PruneItem[] }>("image.prune", {
      ...options,
      body: wish,
    });
    return (await answer).items;
  }

  /** Reads everything that is stored by its digest. */
  async verifyImages(options?: LongCallOptions): Promise<VerifyReport> {
    return await this.calls.progress("image.verify", { ...options });
  }

  /** The images that can be made by name. */
  async catalog(options?: CallOptions): Promise<readonly CatalogImage[]> {
    const { images } = await this.calls.json<{ images: readonly CatalogImage[] }>("catalog", { ...options });
    return images;
  }

  async listKernels(options?: CallOptions): Promise<readonly Kernel[]> {
    return (await this.calls.json<{ kernels: readonly Kernel[] }>("kernel.list", { ...options })).kernels;
  }

  async showKernel(name: string, options?: CallOptions): Promise<Kernel> {
    return await this.calls.json("kernel.show", { ...options, path: { kernel: name } });
  }

  /** Fetches the default kernel anew. */
  async pullKernel(options?: LongCallOptions): Promise<Kernel> {
    return await this.calls.progress("kernel.pull", { ...options });
  }

  async importKernel(wish: ImportKernel, options?: LongCallOptions): Promise<Kernel> {
    return await this.calls.progress("kernel.import", { ...options, body: wish });
  }

  /** Forgets a kernel that no VM boots; returns its name. */
  async removeKernel(name: string, options?: CallOptions): Promise<string> {
    return (await this.calls.json<{ name: string }>("kernel.remove", { ...options, path: { kernel: name } }))
      .name;
  }
}
