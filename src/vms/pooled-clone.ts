/** A clone for the warm pool: resumed from a template, used once, and standing still until a VM takes it. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Agent } from "../guest/agent.ts";
import { withDeadline } from "../lib/deadline.ts";
import { removeTree } from "../lib/remove-tree.ts";
import { BangerError } from "../model/errors.ts";
import type { TemplateWish } from "../model/saved.ts";
import { NEVER_STARTED, type VmRecord } from "../model/vm.ts";
import type { Running } from "../vmm/port.ts";
import { bringUp, NotResumed } from "./bring-up.ts";
import type { VmContext } from "./context.ts";
import { defaultSpec } from "./create.ts";
import { freeAddress } from "./reserve.ts";
import { Steps } from "./steps.ts";
import { findIngredients, templateWish } from "./template-wish.ts";

export interface PooledClone {
  /** What it was made as: id and address are those of the VM that takes it. */
  readonly vm: VmRecord;
  /** The machine that it is, and the size of its disk. */
  readonly wish: TemplateWish;
  readonly templateId: string;
  /** Paused. */
  readonly running: Running;
  /** Ends it and everything of its run, but for its directory. */
  readonly undo: AsyncDisposableStack;
  /** Ends it, and leaves nothing. */
  end(): Promise<void>;
}

/** A clone is not made when the host has less than this many times its memory left. */
const SPARE = 2;
const MIB = 1024 * 1024;
/** Under emulation on a busy host. */
const WARM_UP_MS = 20_000;
/** Replaced when it is taken. */
const NAME = "t";

const silent = { signal: new AbortController().signal, onProgress: () => undefined };

/** What a VM of this image is that is made without further wishes; undefined when the image is not there, or no template can be. */
export async function pooledWish(ctx: VmContext, imageName: string): Promise<TemplateWish | undefined> {
  const image = ctx.store.images.byName(imageName);
  if (image === undefined) return undefined;
  const spec = defaultSpec(ctx, imageName);
  const ingredients = await findIngredients(ctx, { spec, imageDigest: image.digest }, silent);
  return await templateWish(ctx, { spec }, ingredients);
}

/**
 * Makes one, of the template that the wish finds; where there is none, one is asked for. Undefined then, and when the host is short of
 * memory. Should the daemon end, the next one removes it. Errors: those of a start.
 */
export async function makePooledClone(
  ctx: VmContext,
  wish: TemplateWish,
  signal: AbortSignal,
): Promise<PooledClone | undefined> {
  if (ctx.availableMemoryBytes() < SPARE * wish.inputs.memoryMib * MIB) return undefined;
  const saved = await ctx.warm.find(wish);
  if (saved === undefined) {
    ctx.warm.missed(wish);
    return undefined;
  }
  await using whole = new AsyncDisposableStack();
  const vm = pooledRecord(ctx, { ...wish, diskMib: saved.diskMib });
  ctx.pool.addresses.add(vm.address);
  whole.defer(() => void ctx.pool.addresses.delete(vm.address));
  const ingredients = await findIngredients(ctx, vm, silent);
  const options = { signal, onProgress: silent.onProgress };
  const steps = new Steps("pool", { ...ctx, ...options });
  mkdirSync(ctx.layout.vmDir(vm.id), { recursive: true, mode: 0o700 });
  writeFileSync(ctx.layout.aside(vm.id), "");
  whole.defer(() => removeTree(ctx.layout.vmDir(vm.id)));
  const undo = whole.use(new AsyncDisposableStack());
  try {
    // Whoever takes it may keep it.
    const up = await bringUp(ctx, { vm, saved, ...ingredients }, { ...options, steps, undo, keeps: true });
    await steps.run("warm", () => useOnce(up.agent, signal));
    up.agent.close();
    await up.running.pause();
    ctx.onStep("pool:ready");
    const kept = whole.move();
    return {
      vm,
      wish: { ...wish, diskMib: saved.diskMib },
      templateId: saved.id,
      running: up.running,
      undo,
      end: () => kept.disposeAsync(),
    };
  } catch (error) {
    if (error instanceof NotResumed) await ctx.warm.distrust(saved, BangerError.from(error.cause));
    throw error;
  }
}

/** What a first command would find cold in a new process of the hypervisor. */
async function useOnce(agent: Agent, signal: AbortSignal): Promise<void> {
  const spec = { argv: ["true"], env: {}, cwd: undefined, user: undefined, tty: undefined, timeoutMs: 0 };
  // An image need not have it.
  const ended = agent.exec(`pool-${randomBytes(4).toString("hex")}`, spec, {}).result.catch(() => undefined);
  await withDeadline(ended, { ms: WARM_UP_MS, signal, what: "using a clone for the warm pool once" });
}

function pooledRecord(ctx: VmContext, { inputs, imageName, diskMib }: TemplateWish): VmRecord {
  const used = new Set(ctx.store.vms.list().map(({ address }) => address));
  const { vcpus, memoryMib } = inputs;
  return {
    id: randomBytes(6).toString("hex"),
    name: NAME,
    state: "starting",
    spec: { ...defaultSpec(ctx, imageName), vcpus, memoryMib, diskMib },
    imageDigest: inputs.image,
    address: freeAddress(ctx, used),
    ephemeral: true,
    parent: undefined,
    createdAt: ctx.now(),
    ...NEVER_STARTED,
  };
}
