/**
 * The warm pool: clones of templates that have gone on already and stand still until a new VM takes one. It is kept full while
 * nobody waits, and belongs to the daemon: what is in it ends with it.
 */
import type { Logger } from "pino";
import { quiet } from "../lib/quiet.ts";
import { BangerError } from "../model/errors.ts";
import { isSameMachine, type TemplateWish } from "../model/saved.ts";
import type { VmSpec } from "../model/spec.ts";
import type { WarmPoolSizes } from "../model/warm-pool.ts";
import { BackOff } from "./back-off.ts";
import type { IdleClock } from "./idle.ts";
import type { PooledClone } from "./pooled-clone.ts";

export interface WarmPoolOptions {
  readonly sizes: WarmPoolSizes;
  /** What clones of the image are to be now; undefined when there can be none. */
  readonly wish: (imageName: string) => Promise<TemplateWish | undefined>;
  /** Makes one; undefined where there is no template, or no room. It is the caller's. */
  readonly make: (wish: TemplateWish, signal: AbortSignal) => Promise<PooledClone | undefined>;
  readonly log: Logger;
  /** Of the attempts after clones that could not be made, or died while they waited. */
  readonly clock: IdleClock;
  /** How long after it was asked for a clone is made: whoever asked has work to do first. */
  readonly quietMs: number;
}

export class WarmPool {
  readonly #options: WarmPoolOptions;
  /** Addresses of clones, which nobody else may have. */
  readonly addresses: Set<string> = new Set();
  readonly #ready = new Set<PooledClone>();
  /** Those that VMs have which are about to start, by id. */
  readonly #claimed = new Map<string, PooledClone>();
  readonly #ending = new AbortController();
  /** By the image's name: a pool whose clones die must not make others without end. */
  readonly #backOffs = new Map<string, BackOff>();
  #filling: Promise<void> = Promise.resolve();
  #asked = false;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
  }

  /** How many clones wait that went on from a template, by its id. */
  countOf(templateId: string): number {
    return [...this.#ready].filter(({ templateId: id }) => id === templateId).length;
  }

  has(imageDigest: string): boolean {
    return [...this.#ready].some(({ wish }) => wish.inputs.image === imageDigest);
  }

  /** Gives a clone that fits to the VM that will have its id; `unclaim` or `take` follows. */
  claim(wish: TemplateWish, spec: VmSpec): PooledClone | undefined {
    const fitting = [...this.#ready].find(
      ({ wish: has, vm }) =>
        isSameMachine(has.inputs, wish.inputs) && has.diskMib <= wish.diskMib && isLike(vm.spec, spec),
    );
    if (fitting === undefined) return undefined;
    this.#ready.delete(fitting);
    this.#claimed.set(fitting.vm.id, fitting);
    this.refill();
    return fitting;
  }

  /** The VM did not come to be: the clone waits for another. */
  unclaim(clone: PooledClone): void {
    if (this.#claimed.delete(clone.vm.id)) this.#keep(clone);
  }

  /** The clone of a VM that starts now, which is the caller's from here on; so is its address. */
  take(id: string): PooledClone | undefined {
    const clone = this.#claimed.get(id);
    if (clone === undefined) return undefined;
    this.#claimed.delete(id);
    this.addresses.delete(clone.vm.address);
    return clone;
  }

  /**
   * Has the pool filled up, behind everybody's back. Does nothing where no pool is wished for; images whose clones died or could not
   * be made wait for their time, which comes by itself.
   */
  refill(): void {
    const { sizes, quietMs } = this.#options;
    if (this.#asked || this.#ending.signal.aborted || Object.keys(sizes).length === 0) return;
    this.#asked = true;
    this.#filling = this.#filling.then(async () => {
      await quiet(quietMs, this.#ending.signal);
      this.#asked = false;
      await this.#fill();
    });
  }

  /** Resolves when nothing is being made. */
  async settled(): Promise<void> {
    await this.#filling;
  }

  /** Ends all clones that wait. Never throws. */
  async drain(): Promise<void> {
    await Promise.all([...this.#ready].map(async (clone) => await this.#end(clone)));
  }

  /** Ends those that went on from one template. Never throws. */
  async endOf(templateId: string): Promise<void> {
    const those = [...this.#ready].filter((clone) => clone.templateId === templateId);
    await Promise.all(those.map(async (clone) => await this.#end(clone)));
  }

  /** Ends all, and makes no more. Never throws. */
  async stop(): Promise<void> {
    this.#ending.abort(new BangerError("cancelled", "the daemon ends"));
    for (const backOff of this.#backOffs.values()) backOff.stop();
    await this.#filling;
    await this.drain();
  }

  async #fill(): Promise<void> {
    const { sizes, wish } = this.#options;
    for (const [imageName, size] of Object.entries(sizes)) {
      try {
        const wanted = await wish(imageName);
        await this.#endOthers(imageName, wanted);
        if (wanted !== undefined) await this.#fillUp(wanted, size);
      } catch (error) {
        this.#failed(imageName, { err: error }, "a clone for the warm pool could not be made");
      }
    }
  }

  /** Clones of an image that has another content by now, or that lacks its kernel. */
  async #endOthers(imageName: string, wish: TemplateWish | undefined): Promise<void> {
    const others = [...this.#ready].filter(
      (clone) =>
        clone.wish.imageName === imageName &&
        (wish === undefined || !isSameMachine(clone.wish.inputs, wish.inputs)),
    );
    for (const clone of others) await this.#end(clone);
  }

  async #fillUp(wish: TemplateWish, size: number): Promise<void> {
    const { signal } = this.#ending;
    const count = (): number =>
      [...this.#ready].filter((clone) => clone.wish.imageName === wish.imageName).length;
    const backOff = this.#backOffOf(wish.imageName);
    while (!signal.aborted && !backOff.isWaiting && count() < size) {
      const clone = await this.#options.make(wish, signal);
      if (clone === undefined) return;
      this.#keep(clone);
    }
    if (count() >= size) backOff.succeeded();
  }

  #failed(image: string, facts: object, what: string): void {
    if (this.#ending.signal.aborted) return;
    const wait = this.#backOffOf(image).failed();
    if (wait !== undefined) this.#options.log.warn({ image, ...facts, ...wait }, what);
  }

  #backOffOf(image: string): BackOff {
    const { clock, log } = this.#options;
    const known = this.#backOffs.get(image);
    if (known !== undefined) return known;
    const backOff = new BackOff({
      clock,
      again: () => this.refill(),
      cured: () => log.info({ image }, "the warm pool holds again"),
    });
    this.#backOffs.set(image, backOff);
    return backOff;
  }

  #keep(clone: PooledClone): void {
    this.#ready.add(clone);
    void clone.running.exited.then(async () => {
      if (!this.#ready.has(clone)) return;
      this.#failed(
        clone.wish.imageName,
        { vm: clone.vm.id },
        "a clone of the warm pool died while it waited",
      );
      await this.#end(clone);
    });
  }

  async #end(clone: PooledClone): Promise<void> {
    this.#ready.delete(clone);
    try {
      await clone.end();
    } catch (error) {
      this.#options.log.error(
        { vm: clone.vm.id, err: error },
        "a clone of the warm pool could not be removed",
      );
    }
  }
}

/** Whether they differ only in what a clone takes on when it becomes a VM, and in what `isSameMachine` has looked at. */
function isLike(one: VmSpec, other: VmSpec): boolean {
  const rest = (spec: VmSpec): string =>
    JSON.stringify({ ...spec, image: "", diskMib: 0, env: {}, ports: [] });
  return rest(one) === rest(other);
}
