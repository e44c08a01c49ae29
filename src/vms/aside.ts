/** A machine that is no VM: booted like one, for something that banger does for itself, and gone afterwards. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Agent } from "../guest/agent.ts";
import { lowerPriority } from "../lib/low-priority.ts";
import { removeTree } from "../lib/remove-tree.ts";
import { NOWHERE } from "../model/addresses.ts";
import { NO_NETWORK } from "../model/network-policy.ts";
import type { TemplateWish } from "../model/saved.ts";
import { NEVER_STARTED, type VmRecord } from "../model/vm.ts";
import type { Running } from "../vmm/port.ts";
import { bringUp } from "./bring-up.ts";
import type { VmContext } from "./context.ts";
import { Steps } from "./steps.ts";

/** A guest that has no record and that nobody but its maker knows. */
export interface AsideGuest {
  readonly running: Running;
  readonly agent: Agent;
  readonly diskPath: string;
}

/**
 * Boots a machine as `wish` describes it, behind everything else that wants the processor, and ends it when `work` has. Should the
 * daemon end before, the next one removes what is left. Errors: those of a start, and those of `work`.
 */
export async function bootAside<T>(
  ctx: VmContext,
  wish: TemplateWish,
  work: (guest: AsideGuest) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const vm = asideRecord(ctx, wish);
  const options = { signal, onProgress: () => undefined };
  const { kernelPath, initramfsPath } = wish.inputs;
  const files = { kernelPath, initramfsPath };
  const [image, driver] = await Promise.all([
    ctx.images.byDigest(wish.inputs.image),
    ctx.chooseDriver(wish.inputs.driver),
  ]);
  const steps = new Steps("aside", { ...ctx, ...options });
  await using undo = new AsyncDisposableStack();
  mkdirSync(ctx.layout.vmDir(vm.id), { recursive: true, mode: 0o700 });
  writeFileSync(ctx.layout.aside(vm.id), "");
  undo.defer(() => removeTree(ctx.layout.vmDir(vm.id)));
  const spawned = ({ pid }: { readonly pid: number }): void => lowerPriority(pid);
  const { running, agent } = await bringUp(
    ctx,
    { vm, image, files, driver },
    { ...options, steps, undo, spawned, keeps: false },
  );
  return await steps.run("work", () => work({ running, agent, diskPath: ctx.layout.disk(vm.id) }));
}

/** A clone writes its own name over this one, which takes less when the old one is short (agent/src/system/etc.rs). */
const NAME = "t";

function asideRecord(ctx: VmContext, { inputs, diskMib, imageName }: TemplateWish): VmRecord {
  const { vcpus, memoryMib } = inputs;
  return {
    id: randomBytes(6).toString("hex"),
    name: NAME,
    state: "starting",
    spec: { image: imageName, vcpus, memoryMib, diskMib, env: {}, network: NO_NETWORK },
    imageDigest: inputs.image,
    address: NOWHERE,
    ephemeral: true,
    parent: undefined,
    createdAt: ctx.now(),
    ...NEVER_STARTED,
  };
}
