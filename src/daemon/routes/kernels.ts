/** Routes of kernels: decode, one call, encode. */
import { ImportKernelSchema } from "../../api/schemas/kernels.ts";
import { decodeBody } from "../decode.ts";
import { presentKernel } from "../present.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeKernels(router: Router, { kernels }: Services): void {
  router.json("kernel.list", async () => ({ kernels: (await kernels.list()).map(presentKernel) }));
  router.json("kernel.show", async ({ param }) => presentKernel(await kernels.show(param("kernel"))));
  router.json("kernel.remove", async ({ param }) => ({ name: (await kernels.remove(param("kernel"))).name }));
  router.progress("kernel.pull", async () => async (options) => presentKernel(await kernels.pull(options)));
  router.progress("kernel.import", async ({ request }) => {
    const { name, path, modulesDir, sha256 } = await decodeBody(request, ImportKernelSchema);
    return async (options) =>
      presentKernel(
        path === undefined
          ? await kernels.importHost(name, options)
          : await kernels.importFiles(name, { path, modulesDir, sha256 }, options),
      );
  });
}
