/** `auto_stop_after`: what is done with a VM that nobody uses, and what counts as a use. */
import type { AgentStream } from "../guest/stream.ts";
import { settlesWithin } from "../lib/settles-within.ts";
import { BangerError } from "../model/errors.ts";
import type { VmContext } from "./context.ts";
import { endVm } from "./stop.ts";

/** How long the guest may take to say what runs in it; one that says nothing is not in use. */
const ASK_MS = 5_000;

/** Opens a stream to a guest: the VM is in use from now until the stream has ended. */
export async function whileUsed(
  ctx: Pick<VmContext, "idle">,
  id: string,
  open: () => Promise<AgentStream>,
): Promise<AgentStream> {
  const use = ctx.idle.use(id);
  const release = (): void => use[Symbol.dispose]();
  try {
    const stream = await open();
    void stream.result.then(release, release);
    return stream;
  } catch (error) {
    release();
    throw error;
  }
}

/** Stops a VM that has become idle, as `stop` does, unless it is used meanwhile, paused, or a command runs in it. Never throws. */
export async function stopIdleVm(ctx: VmContext, id: string): Promise<void> {
  try {
    if (await runsCommand(ctx, id)) return ctx.idle.touch(id);
    await ctx.locks.hold(id, async () => {
      const record = ctx.store.vms.byId(id);
      if (!ctx.idle.isIdle(id) || record === undefined) return;
      // A paused VM is kept on purpose.
      if (record.state !== "running") return ctx.idle.touch(id);
      ctx.log.info({ vm: id }, "stopping a VM that nobody uses (auto_stop_after)");
      await endVm(ctx, id, { onProgress: () => undefined, signal: new AbortController().signal });
    });
  } catch (error) {
    ctx.log.error({ vm: id, err: BangerError.from(error) }, "an idle VM could not be stopped");
  }
}

/** Whether the guest runs a command that no stream tells of: a detached one, perhaps of an earlier daemon's client. */
async function runsCommand(ctx: VmContext, id: string): Promise<boolean> {
  if (ctx.store.vms.byId(id)?.state !== "running") return false;
  const execs = (async () => (await ctx.live.get(id)?.agent())?.execs() ?? [])();
  // A guest that does not answer, or not in time, is not in use; stopping it deals with that.
  const answered = await settlesWithin(execs, ASK_MS);
  return answered && (await execs.catch(() => [])).some((exec) => exec.running);
}
