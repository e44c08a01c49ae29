/** Images and kernels, composed. */
import { release } from "node:os";
import { Catalog } from "../../images/catalog.ts";
import { ImageService } from "../../images/image-service.ts";
import { Images } from "../../images/images.ts";
import { KernelService } from "../../images/kernel-service.ts";
import type { ImageLimits } from "../../images/tar/limits.ts";
import { createClock } from "../../lib/clock.ts";
import type { ImageSource } from "../../model/boot.ts";
import type { Config } from "../../model/config.ts";
import type { Store } from "../../store/store.ts";
import type { ComposeOptions } from "./options.ts";

export function createImages(
  options: ComposeOptions,
  { store, keepsAll }: { readonly store: Store; readonly keepsAll: () => boolean },
): { readonly images: ImageService; readonly kernels: KernelService } {
  const { layout, onStep = () => undefined } = options;
  const config = options.config.values;
  const kernels = new KernelService({
    store,
    kernelsDir: layout.kernelsDir,
    cacheDir: layout.cacheDir,
    agentPath: options.agentPath,
    rootfsOf: async (digest) => (await images.byDigest(digest)).rootfsPath,
    host: { root: "/", release: release() },
    onStep,
    ...options.kernels,
  });
  const images: ImageService = new ImageService({
    kernels,
    store,
    keepsAll,
    catalog: new Catalog(config.catalog),
    onStep,
    images: new Images({
      imagesDir: layout.imagesDir,
      cacheDir: layout.cacheDir,
      registry: {
        registries: config.registries,
        trust: { certsDirs: [layout.certsDir, "/etc/containers/certs.d", "/etc/docker/certs.d"] },
        env: process.env,
        clock: createClock(),
      },
      limits: imageLimits(config),
      onStep,
    }),
  });
  return { images, kernels };
}

/** The images as VMs see them; tests give boot files of their own. */
export function withBootFiles(
  images: ImageSource,
  bootFiles: ImageSource["bootFiles"] | undefined,
): ImageSource {
  return {
    ensure: (name, options) => images.ensure(name, options),
    byDigest: (digest) => images.byDigest(digest),
    ensureKernel: (choice, options) => images.ensureKernel(choice, options),
    bootFiles: bootFiles ?? ((choice, options) => images.bootFiles(choice, options)),
  };
}

function imageLimits(config: Config): ImageLimits {
  return {
    maxEntries: config.imageMaxEntries,
    maxBytes: config.imageMaxSizeMib * 1024 * 1024,
    maxRatio: config.imageMaxRatio,
    maxPathBytes: config.imageMaxPathBytes,
    maxXattrBytes: config.imageMaxXattrBytes,
  };
}
