/** The life of VMs as one object: what the routes call. Every verb takes a reference and finds the record once. */
import type { Agent, GuestDial } from "../guest/agent.ts";
import type { GuestExec } from "../guest/commands.ts";
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { readTail } from "../lib/file-tail.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import type { GuestTreeRequest } from "../model/guest-tree.ts";
import type { GuestListener } from "../model/guest-use.ts";
import type { TemplateWish } from "../model/saved.ts";
import type { ImageConfig } from "../model/spec.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { SetVm } from "../model/vm-wish.ts";
import { type AsideGuest, bootAside } from "./aside.ts";
import { stopIdleVm } from "./auto-stop.ts";
import type { VmContext, VmDeps } from "./context.ts";
import { copyDisk } from "./copy-disk.ts";
import { type CreateOptions, createVm, type NewVm } from "./create.ts";
import { attachToExec, type ExecWish, execDetached, execInVm } from "./exec.ts";
import { findVm, shownVm } from "./find.ts";
import { type ForkWish, forkVm } from "./fork.ts";
import { dialGuest, openGuestStream, runningAgent, useVm } from "./guest-stream.ts";
import { type HeldVm, holdVm } from "./hold.ts";
import { IdleWatch } from "./idle.ts";
import { type KillOptions, killVm } from "./kill.ts";
import type { LiveVm } from "./live.ts";
import { execsOfVm, portsOfVm, type StatsOfVm, statsOfVms, waitForVm } from "./look.ts";
import { pauseVm, resumeVm } from "./pause.ts";
import { makePooledClone, pooledWish } from "./pooled-clone.ts";
import { reconcile } from "./reconcile.ts";
import { removeVm } from "./remove.ts";
import { restartVm } from "./restart.ts";
import { type RewindOptions, rewindVm } from "./rewind.ts";
import { type RunClient, type RunWish, runVm } from "./run.ts";
import { setVm } from "./set.ts";
import { type StartOptions, startVm } from "./start.ts";
import { type StopOptions, stopVm } from "./stop.ts";
import { lostVms } from "./unrecorded.ts";
import { WarmPool } from "./warm-pool.ts";

/** The console's tail that `logs` shows. */
const LOG_BYTES = 1024 * 1024;

export class Vms {
  readonly #ctx: VmContext;

  constructor(deps: VmDeps) {
    const idle = new IdleWatch({ ...deps.autoStop, onIdle: (id) => void stopIdleVm(this.#ctx, id) });
    this.#ctx = {
      ...deps,
      locks: new KeyedLock(),
      live: new Map(),
      starts: new Map(),
      ending: new Map(),
      idle,
      pool: new WarmPool({
        ...deps.warmPool,
        clock: deps.autoStop.clock,
        log: deps.log,
        wish: async (imageName) => await pooledWish(this.#ctx, imageName),
        make: async (wish, signal) => await makePooledClone(this.#ctx, wish, signal),
      }),
    };
  }

  list(): VmRecord[] {
    return this.#ctx.store.vms.list().map((record) => shownVm(this.#ctx, record));
  }

  find(ref: string): VmRecord {
    return shownVm(this.#ctx, findVm(this.#ctx, ref));
  }

  /** A VM that commands can be run in. Errors: `not_found`, `failed_precondition` (state). */
  running(ref: string): VmRecord {
    const vm = this.find(ref);
    decide("exec", vm);
    return vm;
  }

  /** The live half of a VM, while it runs. */
  live(id: string): LiveVm | undefined {
    return this.#ctx.live.get(id);
  }

  /** What its image says of itself; nothing for an image whose name is gone. */
  imageConfig({ imageDigest }: VmRecord): ImageConfig {
    return this.#ctx.store.images.byDigest(imageDigest)[0]?.config ?? {};
  }

  /** Directories that hold the disk of a VM whose record was lost. */
  unrecorded(): string[] {
    return lostVms(this.#ctx).map((id) => this.#ctx.layout.vmDir(id));
  }

  directory(id: string): string {
    return this.#ctx.layout.vmDir(id);
  }

  async create(wanted: NewVm, options: CreateOptions): Promise<VmRecord> {
    return await createVm(this.#ctx, wanted, options);
  }

  async start(ref: string, options: StartOptions): Promise<VmRecord> {
    return await startVm(this.#ctx, this.find(ref).id, options);
  }

  async stop(ref: string, options: StopOptions): Promise<VmRecord> {
    return await stopVm(this.#ctx, this.find(ref).id, options);
  }

  async restart(ref: string, options: StopOptions): Promise<VmRecord> {
    return await restartVm(this.#ctx, this.find(ref).id, options);
  }

  async kill(ref: string, options: KillOptions): Promise<VmRecord> {
    return await killVm(this.#ctx, this.find(ref).id, options);
  }

  async pause(ref: string): Promise<VmRecord> {
    return await pauseVm(this.#ctx, this.find(ref).id);
  }

  async resume(ref: string): Promise<VmRecord> {
    return await resumeVm(this.#ctx, this.find(ref).id);
  }

  async set(ref: string, wish: SetVm): Promise<VmRecord> {
    return await setVm(this.#ctx, this.find(ref).id, wish);
  }

  async wait(ref: string, signal: AbortSignal): Promise<VmRecord> {
    return await waitForVm(this.#ctx, this.find(ref).id, signal);
  }

  async remove(ref: string, options: { readonly force: boolean }): Promise<VmRecord> {
    return await removeVm(this.#ctx, this.find(ref).id, options);
  }

  async exec(ref: string, wish: ExecWish, handlers: StreamHandlers): Promise<AgentStream> {
    return await execInVm(this.#ctx, this.find(ref), wish, handlers);
  }

  async openStream(
    ref: string,
    request: GuestStreamRequest | GuestTreeRequest,
    handlers: StreamHandlers,
  ): Promise<AgentStream> {
    return await openGuestStream(this.#ctx, this.find(ref), { request, handlers });
  }

  /** As `runningAgent`. */
  async agent(id: string): Promise<Agent> {
    return await runningAgent(this.#ctx, this.find(id));
  }

  /** As `dialGuest`. */
  async dial(
    id: string,
    target: GuestDial & { readonly nth: number },
    handlers: StreamHandlers,
  ): Promise<AgentStream> {
    return await dialGuest(this.#ctx, this.find(id), { target, handlers });
  }

  /** As `useVm`. */
  use(id: string): Disposable {
    return useVm(this.#ctx, this.find(id));
  }

  async execDetached(ref: string, wish: ExecWish): Promise<{ id: string; pid: number }> {
    return await execDetached(this.#ctx, this.find(ref), wish);
  }

  async attach(ref: string, id: string, handlers: StreamHandlers): Promise<AgentStream> {
    return await attachToExec(this.#ctx, this.find(ref), { id, handlers });
  }

  async execs(ref: string): Promise<readonly GuestExec[]> {
    return await execsOfVm(this.#ctx, this.find(ref));
  }

  async ports(ref: string): Promise<readonly GuestListener[]> {
    return await portsOfVm(this.#ctx, this.find(ref));
  }

  async stats(): Promise<readonly StatsOfVm[]> {
    return await statsOfVms(this.#ctx);
  }

  async run(wish: RunWish, client: RunClient): Promise<void> {
    await runVm(this.#ctx, wish, client);
  }

  /** A copy of its writable disk; see `copyDisk`. */
  async copyDisk(ref: string, to: string): Promise<VmRecord> {
    return await copyDisk(this.#ctx, this.find(ref).id, to);
  }

  /** The file that the guest's console is written to; there may be none yet. */
  consolePath(ref: string): string {
    return this.#ctx.layout.console(this.find(ref).id);
  }

  /** The guest's console output, at most the last MiB. */
  async logs(ref: string): Promise<string> {
    return await readTail(this.#ctx.layout.console(this.find(ref).id), LOG_BYTES);
  }

  /** As `holdVm`. */
  async hold<T>(ref: string, work: (held: HeldVm) => Promise<T>): Promise<T> {
    return await holdVm(this.#ctx, this.find(ref).id, "snapshot", work);
  }

  /** As `rewindVm`. */
  async rewind(id: string, options: RewindOptions): Promise<VmRecord> {
    return await rewindVm(this.#ctx, id, options);
  }

  /** As `forkVm`. */
  async fork(ref: string, wish: ForkWish): Promise<readonly VmRecord[]> {
    return await forkVm(this.#ctx, this.find(ref).id, wish);
  }

  /** As `bootAside`. */
  async bootAside<T>(
    wish: TemplateWish,
    work: (guest: AsideGuest) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    return await bootAside(this.#ctx, wish, work, signal);
  }

  /** The machines that are ready for new VMs. */
  get pool(): Pick<WarmPool, "countOf" | "refill" | "settled" | "endOf" | "drain" | "stop"> {
    return this.#ctx.pool;
  }

  /** See reconcile.ts; once, before the daemon serves. */
  async reconcile(): Promise<void> {
    await reconcile(this.#ctx);
  }

  /** Lets the guests' channels go; the VMs live on. */
  detach(): void {
    this.#ctx.idle[Symbol.dispose]();
    const all = [...this.#ctx.live.values()];
    this.#ctx.live.clear();
    for (const live of all) live.disconnect();
  }
}
