/** An image of a few bytes, for VMs that the fake hypervisor runs. */
import { writeFileSync } from "node:fs";
import type { Layout } from "../../src/host/layout.ts";
import { ImageBlobs } from "../../src/images/blobs.ts";
import type { ImageConfig } from "../../src/model/spec.ts";
import type { Store } from "../../src/store/store.ts";

/** Registers one under `name` and returns its digest. */
export async function addImage(
  layout: Layout,
  store: Store,
  { name, config }: { name: string; config: ImageConfig },
): Promise<string> {
  const image = await new ImageBlobs(layout.imagesDir).publish({ config, source: "test" }, async (path) => {
    writeFileSync(path, `image ${name}`);
  });
  store.images.upsert({ ...image, name, createdAt: image.createdAtMs });
  return image.digest;
}
