/** Routes of volumes: decode, one call, encode. */
import { CreateVolumeSchema, SetVolumeSchema } from "../../api/schemas/volumes.ts";
import type { Volume } from "../../api/types/volumes.ts";
import type { VolumeView } from "../../storage/volumes.ts";
import { decodeBody } from "../decode.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeVolumes(router: Router, { volumes }: Services): void {
  router.json("volume.list", async () => ({ volumes: (await volumes.list()).map(present) }));
  router.json("volume.show", async ({ param }) => present(await volumes.show(param("volume"))));
  router.json("volume.create", async ({ request }) => {
    const { name, sizeBytes } = await decodeBody(request, CreateVolumeSchema);
    return present(await volumes.create(name, sizeBytes));
  });
  router.json("volume.set", async ({ param, request }) => {
    const { sizeBytes } = await decodeBody(request, SetVolumeSchema);
    return present(await volumes.grow(param("volume"), sizeBytes));
  });
  router.json("volume.remove", async ({ param }) => present(await volumes.remove(param("volume"))));
}

function present({ name, sizeBytes, storedBytes, createdAt, vms }: VolumeView): Volume {
  return { name, sizeBytes, storedBytes, createdAt, vms };
}
