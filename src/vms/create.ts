/** Making a VM: image first, then the one narrow reservation of name, address and row. */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { markUnrecorded } from "../lib/unrecorded.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import { validateImageName } from "../model/image-reference.ts";
import { IMAGE_KERNEL, nameOfImageKernel, validateKernelName } from "../model/kernel-names.ts";
import { validateVmName, vmNameFromBytes } from "../model/names.ts";
import { applyNetworkWish, PUBLIC_NETWORK } from "../model/network-policy.ts";
import type { VmSpec } from "../model/spec.ts";
import { NEVER_STARTED, type VmRecord } from "../model/vm.ts";
import type { CreateVm } from "../model/vm-wish.ts";
import { isDirectoryMount, validateMounts } from "../model/volume.ts";
import type { VmContext } from "./context.ts";
import { findSnapshot, specFromSnapshot } from "./from-snapshot.ts";
import type { PooledClone } from "./pooled-clone.ts";
import { freeAddress, reserveVm } from "./reserve.ts";
import { demandUnclaimed, settleSpec, wishedPorts } from "./settle.ts";
import { Steps } from "./steps.ts";
import { findIngredients, templateWish } from "./template-wish.ts";

export interface NewVm extends CreateVm {
  readonly ephemeral?: boolean | undefined;
}

export interface CreateOptions extends LongOptions {
  /** A start follows at once, which may be any: the VM may have a machine already. */
  readonly starts?: boolean | undefined;
}

/**
 * Makes a VM in state `stopped`: its directory and its durable record. Errors, all of which leave nothing behind:
 * `invalid_argument`, `not_found` (image), `already_exists` (name), `resource_exhausted` (addresses), `cancelled`.
 */
export async function createVm(ctx: VmContext, wanted: NewVm, options: CreateOptions): Promise<VmRecord> {
  if (wanted.name !== undefined) validateVmName(wanted.name);
  if (wanted.vmm !== undefined) ctx.demandDriver(wanted.vmm);
  if (wanted.kernel !== undefined) validateKernelName(wanted.kernel);
  validateMounts(wanted.volumes ?? []);
  const snapshot = wanted.snapshot === undefined ? undefined : findSnapshot(ctx.store, wanted.snapshot);
  const spec = await settleSpec(
    ctx,
    snapshot === undefined ? newSpec(ctx, wanted) : specFromSnapshot(snapshot, wanted),
  );
  const steps = new Steps("create", { ...ctx, ...options });
  const image = await steps.run("image", () =>
    snapshot === undefined
      ? ctx.images.ensure(spec.image, options)
      : ctx.images.byDigest(snapshot.imageDigest),
  );
  const { kernel } = spec;
  if (kernel !== undefined) {
    await steps.run("kernel", () => ctx.images.ensureKernel({ kernel, imageDigest: image.digest }, options));
  }
  options.signal.throwIfAborted();
  const clone =
    options.starts === true && snapshot === undefined
      ? await claimClone(ctx, { spec, imageDigest: image.digest }, options)
      : undefined;
  const id = clone?.vm.id ?? randomBytes(6).toString("hex");
  try {
    ctx.onStep("create:directory");
    mkdirSync(ctx.layout.vmDir(id), { recursive: true, mode: 0o700 });
    // Its record is not flushed, and a power cut may leave the directory alone.
    if (wanted.ephemeral === true) markUnrecorded(ctx.layout.vmDir(id), { flush: false });
    await using workspace =
      snapshot === undefined ? undefined : await ctx.snapshots.bringWorkspace(snapshot.id, id);
    ctx.onStep("create:reserve");
    const kind = { ephemeral: wanted.ephemeral ?? false };
    const record = await reserveVm(ctx, kind, ({ addresses }) => {
      const isThere =
        snapshot === undefined
          ? ctx.store.images.byDigest(image.digest).length > 0
          : ctx.store.snapshots.byId(snapshot.id) !== undefined;
      if (!isThere)
        throw goneMeanwhile(snapshot === undefined ? `image ${spec.image}` : `snapshot ${snapshot.name}`);
      if (kernel !== undefined && !isKernelThere(ctx, kernel, image.digest)) throw kernelChanged(kernel);
      demandUnclaimed(ctx, spec.ports);
      for (const mount of wanted.volumes ?? []) {
        if (!isDirectoryMount(mount)) ctx.store.volumes.get(mount.volume);
      }
      // In the same transaction as the VM.
      workspace?.take();
      return {
        id,
        name: wanted.name ?? freeName(ctx),
        state: "stopped",
        spec,
        imageDigest: image.digest,
        address: clone?.vm.address ?? freeAddress(ctx, addresses),
        parent: snapshot?.id,
        createdAt: ctx.now(),
        ...NEVER_STARTED,
      };
    });
    ctx.onStep("create:done");
    // From here on the machine is a VM's.
    if (clone !== undefined) rmSync(ctx.layout.aside(id), { force: true });
    return record;
  } catch (error) {
    if (clone === undefined) rmSync(ctx.layout.vmDir(id), { recursive: true, force: true });
    else ctx.pool.unclaim(clone);
    throw error;
  }
}

/** What a VM of an image is when nothing else is asked for. */
export function defaultSpec(ctx: VmContext, image: string): VmSpec {
  return newSpec(ctx, { image });
}

/** A machine of the warm pool that is what the VM is to be. */
async function claimClone(
  ctx: VmContext,
  vm: Pick<VmRecord, "spec" | "imageDigest">,
  options: LongOptions,
): Promise<PooledClone | undefined> {
  if (!ctx.pool.has(vm.imageDigest)) return undefined;
  const wish = await templateWish(ctx, vm, await findIngredients(ctx, vm, options));
  return wish === undefined ? undefined : ctx.pool.claim(wish, vm.spec);
}

function newSpec({ defaults }: VmContext, wanted: NewVm): VmSpec {
  return {
    image: validateImageName(wanted.image ?? defaults.image),
    vcpus: wanted.vcpus ?? defaults.vcpus,
    memoryMib: wanted.memoryMib ?? defaults.memoryMib,
    diskMib: wanted.diskMib ?? defaults.diskMib,
    env: wanted.env ?? {},
    ...(wanted.vmm === undefined ? {} : { vmm: wanted.vmm }),
    ...(wanted.init === undefined ? {} : { init: wanted.init }),
    ...(wanted.kernel === undefined ? {} : { kernel: wanted.kernel }),
    ...(wanted.volumes === undefined || wanted.volumes.length === 0 ? {} : { volumes: wanted.volumes }),
    network: applyNetworkWish(PUBLIC_NETWORK, wanted.network ?? {}),
    ...wishedPorts(wanted),
  };
}

function goneMeanwhile(what: string): BangerError {
  return new BangerError("conflict", `the ${what} was removed or replaced meanwhile`, {
    cure: "repeat the command",
  });
}

function isKernelThere(ctx: VmContext, kernel: string, imageDigest: string): boolean {
  const name = kernel === IMAGE_KERNEL ? nameOfImageKernel(imageDigest) : kernel;
  return ctx.store.kernels.byName(name) !== undefined;
}

function kernelChanged(name: string): BangerError {
  return new BangerError("conflict", `the kernel ${name} was removed meanwhile`, {
    cure: "repeat the command",
  });
}

/** Runs inside the reservation, so that the name is still free when it is inserted. */
function freeName(ctx: VmContext): string {
  let name = vmNameFromBytes(randomBytes(6));
  while (ctx.store.vms.byName(name) !== undefined) name = vmNameFromBytes(randomBytes(6));
  return name;
}
