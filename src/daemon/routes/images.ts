/** Routes of images: decode, one call, encode. */

import { CommitImageSchema, PruneImagesSchema, TagImageSchema } from "../../api/schemas/image-care.ts";
import { ExportImageQuerySchema, ImportImageSchema, PullImageSchema } from "../../api/schemas/images.ts";
import { decodeBody, decodeQuery } from "../decode.ts";
import { presentDamage, presentImage, presentImageDetails } from "../present.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeImages(router: Router, { images, vms }: Services): void {
  router.json("image.list", async () => ({ images: images.list().map(presentImage) }));
  router.json("image.remove", async ({ param }) => presentImage(await images.remove(param("image"))));
  router.bytes("image.export", async ({ url, request, param }) => {
    const { format = "oci" } = decodeQuery(url, ExportImageQuerySchema);
    return { content: await images.export(param("image"), { format, signal: request.signal }) };
  });
  router.json("image.show", async ({ param }) => presentImageDetails(await images.show(param("image"))));
  router.json("image.tag", async ({ param, request }) => {
    const { name } = await decodeBody(request, TagImageSchema);
    return presentImage(await images.tag(param("image"), name));
  });
  router.json("image.prune", async ({ request }) => {
    const { all = false, dryRun = false } = await decodeBody(request, PruneImagesSchema);
    return { items: await images.prune({ all, dryRun }) };
  });
  router.progress("image.verify", async () => async (options) => {
    const { checked, damages } = await images.verify(options);
    return { checked, damages: damages.map(presentDamage) };
  });
  router.progress("image.commit", async ({ request }) => {
    const { vm, name } = await decodeBody(request, CommitImageSchema);
    const { name: vmName, id } = vms.find(vm);
    const copyDisk = async (to: string): Promise<{ digest: string }> => ({
      digest: (await vms.copyDisk(id, to)).imageDigest,
    });
    return async (options) => presentImage(await images.commit(name, { name: vmName, copyDisk }, options));
  });
  router.json("catalog", async () => ({ images: images.available() }));
  router.progress("image.pull", async ({ request }) => {
    const { name, platform } = await decodeBody(request, PullImageSchema);
    return async (options) => presentImage(await images.pull(name, { ...options, platform }));
  });
  router.progress("image.import", async ({ request }) => {
    const { name, path } = await decodeBody(request, ImportImageSchema);
    return async (options) => presentImage(await images.importTar(name, path, options));
  });
}
