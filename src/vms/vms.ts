/** The life of VMs as one object: what the routes call. Every verb takes a reference and finds the record once. */
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { readTail } from "../lib/file-tail.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import type { LongOptions } from "../model/boot.ts";
import type { VmRecord } from "../model/vm.ts";
import type { LiveVm, VmContext, VmDeps } from "./context.ts";
import { createVm, type NewVm } from "./create.ts";
import { type ExecWish, execInVm } from "./exec.ts";
import { findVm } from "./find.ts";
import { reconcile } from "./reconcile.ts";
import { removeVm } from "./remove.ts";
import { type RunClient, type RunWish, runVm } from "./run.ts";
import { startVm } from "./start.ts";
import { type StopOptions, stopVm } from "./stop.ts";

/** The console's tail that `logs` shows. */
const LOG_BYTES = 1024 * 1024;

export class Vms {
  readonly #ctx: VmContext;

  constructor(deps: VmDeps) {
    this.#ctx = { ...deps, locks: new KeyedLock(), live: new Map(), starts: new Map() };
  }

  list(): VmRecord[] {
    return this.#ctx.store.vms.list();
  }

  find(ref: string): VmRecord {
    return findVm(this.#ctx, ref);
  }

  /** The live half of a VM, while it runs. */
  live(id: string): LiveVm | undefined {
    return this.#ctx.live.get(id);
  }

  directory(id: string): string {
    return this.#ctx.layout.vmDir(id);
  }

  async create(wanted: NewVm, options: LongOptions): Promise<VmRecord> {
    return await createVm(this.#ctx, wanted, options);
  }

  async start(ref: string, options: LongOptions): Promise<VmRecord> {
    return await startVm(this.#ctx, this.find(ref).id, options);
  }

  async stop(ref: string, options: StopOptions): Promise<VmRecord> {
    return await stopVm(this.#ctx, this.find(ref).id, options);
  }

  async remove(ref: string, options: { readonly force: boolean }): Promise<VmRecord> {
    return await removeVm(this.#ctx, this.find(ref).id, options);
  }

  async exec(ref: string, wish: ExecWish, handlers: StreamHandlers): Promise<AgentStream> {
    return await execInVm(this.#ctx, this.find(ref), wish, handlers);
  }

  async run(wish: RunWish, client: RunClient): Promise<void> {
    await runVm(this.#ctx, wish, client);
  }

  /** The guest's console output, at most the last MiB. */
  async logs(ref: string): Promise<string> {
    return await readTail(this.#ctx.layout.console(this.find(ref).id), LOG_BYTES);
  }

  /** See reconcile.ts; once, before the daemon serves. */
  async reconcile(): Promise<void> {
    await reconcile(this.#ctx);
  }

  /** Lets the guests' channels go; the VMs live on. */
  detach(): void {
    for (const live of this.#ctx.live.values()) live.connected?.close();
    this.#ctx.live.clear();
  }
}
