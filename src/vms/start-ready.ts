/** The start of a run: everything that its command needs is there at the end, from an earlier run where there was one of the same. */
import { BangerError } from "../model/errors.ts";
import type { AdoptedTree, BootstrapWish } from "../model/kept.ts";
import type { SavedMachine } from "../model/saved.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import type { RunClient, RunWish } from "./run.ts";
import { runSetup } from "./setup.ts";
import { type StartOptions, startVm } from "./start.ts";
import { findIngredients, templateWish } from "./template-wish.ts";

/** Errors: those of a start, of what arrives, and of `runSetup`. */
export async function startReady(
  ctx: VmContext,
  created: VmRecord,
  wish: RunWish,
  client: RunClient,
): Promise<VmRecord> {
  const { onProgress, signal } = client;
  const options: StartOptions = { cold: wish.cold, onProgress, signal };
  const known = await bootstrapWish(ctx, created, wish, client);
  const kept = known && (await takeUp(ctx, created, known, client));
  if (kept === undefined) {
    return await fromTheBeginning(ctx, { vm: await startVm(ctx, created.id, options), known }, wish, client);
  }
  const state = { isRefused: false };
  const refused = async (why: BangerError): Promise<void> => {
    state.isRefused = true;
    await client.tree?.forget(created.id);
    await ctx.bootstraps.distrust(kept.saved, why);
  };
  const vm = await startVm(ctx, created.id, { ...options, kept: { saved: kept.saved, refused } });
  if (state.isRefused) return await fromTheBeginning(ctx, { vm, known }, wish, client);
  await catchUp(ctx, { ...kept, vm }, client);
  return vm;
}

async function fromTheBeginning(
  ctx: VmContext,
  { vm, known }: { readonly vm: VmRecord; readonly known: BootstrapWish | undefined },
  wish: RunWish,
  client: RunClient,
): Promise<VmRecord> {
  const { onProgress, signal } = client;
  await client.tree?.arrive(vm);
  if (wish.setup !== undefined) await runSetup(ctx, vm, wish.setup.steps, client.setup);
  if (known !== undefined) await ctx.bootstraps.keep(known, vm, { onProgress, signal });
  return vm;
}

/** What would have to be kept of this run; undefined where nothing can be, or is wanted. */
async function bootstrapWish(
  ctx: VmContext,
  vm: VmRecord,
  { cold, setup }: RunWish,
  { tree, onProgress, signal }: RunClient,
): Promise<BootstrapWish | undefined> {
  if (cold === true || vm.parent !== undefined || tree?.key === undefined) return undefined;
  if (setup === undefined || setup.steps.length === 0) return undefined;
  const ingredients = await findIngredients(ctx, vm, { onProgress, signal });
  const machine = await templateWish(ctx, vm, ingredients);
  if (machine === undefined) return undefined;
  const { spec } = vm;
  return { machine, spec, steps: setup.steps, tree: tree.key, hostPath: tree.hostPath };
}

interface TakenUp {
  readonly saved: SavedMachine;
  readonly tree: AdoptedTree;
}

/** What was kept, with its work tree at its place on the host; what cannot be used is thrown away. */
async function takeUp(
  ctx: VmContext,
  { id }: VmRecord,
  known: BootstrapWish,
  { tree, signal }: RunClient,
): Promise<TakenUp | undefined> {
  const saved = await ctx.bootstraps.find(known);
  if (saved?.workspaceFile === undefined || tree === undefined) return undefined;
  try {
    return { saved, tree: await tree.adopt(id, saved.workspaceFile) };
  } catch (thrown) {
    signal.throwIfAborted();
    await ctx.bootstraps.distrust(saved, BangerError.from(thrown));
    return undefined;
  }
}

/** What cannot be brought up to date is not used a second time. */
async function catchUp(
  ctx: VmContext,
  { tree, saved, vm }: TakenUp & { readonly vm: VmRecord },
  { onProgress, signal }: RunClient,
): Promise<void> {
  onProgress({ event: "note", text: "the setup has run before, and is not run again (anew: --cold)" });
  try {
    await tree.catchUp(vm);
  } catch (thrown) {
    const error = BangerError.from(thrown);
    // A file that changes meanwhile, and a client that has gone, say nothing of what was kept.
    if (!signal.aborted && error.code !== "conflict") await ctx.bootstraps.distrust(saved, error);
    throw error;
  }
}
