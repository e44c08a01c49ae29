/** Which template a VM could go on from, by what it is made of. */
import type { BootFiles, LongOptions, ReadyImage } from "../model/boot.ts";
import { chooseInit } from "../model/init.ts";
import type { TemplateWish } from "../model/saved.ts";
import type { VmRecord } from "../model/vm.ts";
import type { ReadyDriver, VmContext } from "./context.ts";

/** What a VM needs of images and drivers, found for one start. */
export interface Ingredients {
  readonly image: ReadyImage;
  readonly files: BootFiles;
  readonly driver: ReadyDriver;
}

/** Errors: `failed_precondition` (image), those of `bootFiles`, `unavailable` (driver). */
export async function findIngredients(
  ctx: VmContext,
  { spec, imageDigest }: Pick<VmRecord, "spec" | "imageDigest">,
  options: LongOptions,
): Promise<Ingredients> {
  const [image, files, driver] = await Promise.all([
    ctx.images.byDigest(imageDigest),
    ctx.images.bootFiles({ kernel: spec.kernel, imageDigest }, options),
    ctx.chooseDriver(spec.vmm),
  ]);
  return { image, files, driver };
}

/** What a template for this VM would have to be; undefined where there can be none. */
export async function templateWish(
  ctx: VmContext,
  vm: Pick<VmRecord, "spec">,
  { image, files, driver }: Ingredients,
): Promise<TemplateWish | undefined> {
  const { report } = driver;
  if (!report.features.snapshot || report.snapshotKey === undefined) return undefined;
  const { vcpus, memoryMib, diskMib, image: imageName, volumes = [], init } = vm.spec;
  // A template has no disks but its own, and nothing runs in it but the agent.
  if (volumes.length > 0 || chooseInit(init, image.config).init !== "agent") return undefined;
  const ours = { driver: report.driver, driverKey: report.snapshotKey };
  const devices: string[] = [];
  for (const capability of ctx.capabilities) devices.push(...((await capability.devices?.(vm)) ?? []));
  const inputs = { image: image.digest, ...files, vcpus, memoryMib, ...ours, devices };
  return { inputs, diskMib, imageName };
}
