/** The live half of a VM: its process, the connection to its agent, and how its end reaches the record. */
import type { Agent } from "../guest/agent.ts";
import { withDeadline } from "../lib/deadline.ts";
import { BangerError } from "../model/errors.ts";
import type { Running } from "../vmm/port.ts";
import { cleanupVm } from "./cleanup.ts";
import { limitConsole } from "./console-limit.ts";
import type { VmContext } from "./context.ts";
import { failureOfExit } from "./exit.ts";
import { greetAgent, withConsole } from "./greet.ts";

/** A guest that does not answer in that time is dealt with by whoever uses it. */
const THAW_MS = 5_000;

export class LiveVm {
  readonly id: string;
  readonly running: Running;
  readonly #ctx: VmContext;
  readonly #broken = Promise.withResolvers<BangerError>();
  #connected: Agent | undefined;
  #connecting: Promise<Agent> | undefined;

  private constructor(ctx: VmContext, running: Running, id: string) {
    this.id = id;
    this.running = running;
    this.#ctx = ctx;
  }

  /** Registers a running VM and watches over its end. `agent`: its connection, when there is one already. */
  static register(ctx: VmContext, id: string, parts: { running: Running; agent?: Agent }): LiveVm {
    const live = new LiveVm(ctx, parts.running, id);
    if (parts.agent !== undefined) live.#take(parts.agent);
    ctx.live.set(id, live);
    const watch = ctx.idle.watch(id);
    void parts.running.exited.then(() => watch[Symbol.dispose]());
    const limit = limitConsole(ctx.layout.console(id), (error) =>
      ctx.log.debug({ vm: id, err: error }, "console limit"),
    );
    void parts.running.exited.then(() => limit[Symbol.dispose]());
    const ended = parts.running.exited.then(() => undefined);
    void Promise.race([ended, live.#broken.promise]).then(async (reason) => await bury(ctx, live, reason));
    return live;
  }

  /** Whether the guest has been heard of lately; undefined while nobody is connected to it. */
  get responsive(): boolean | undefined {
    return this.#connected?.responsive;
  }

  /** The agent; a lost connection is made anew. Errors: those of `greetAgent`. */
  async agent(): Promise<Agent> {
    if (this.#connected !== undefined) return this.#connected;
    this.#connecting ??= this.#connect();
    return await this.#connecting;
  }

  /** Lets the agent's channel go; the VM lives on. What is open over it ends with `reason`. */
  disconnect(reason?: BangerError): void {
    const agent = this.#connected;
    this.#connected = undefined;
    agent?.close(reason);
  }

  async #connect(): Promise<Agent> {
    try {
      const signal = new AbortController().signal;
      const agent = await greetAgent(this.#ctx, this.id, this.running, { fresh: false, signal });
      await this.#release(agent);
      this.#take(agent);
      return agent;
    } catch (thrown) {
      this.#lost(BangerError.from(thrown));
      throw thrown;
    } finally {
      this.#connecting = undefined;
    }
  }

  /** A daemon that ended in the middle of a snapshot left the guest holding still. */
  async #release(agent: Agent): Promise<void> {
    try {
      await withDeadline(agent.thaw(), { ms: THAW_MS, what: "the guest's thaw" });
    } catch (error) {
      // It had gone on by itself, or knows no snapshots.
      this.#ctx.log.debug({ vm: this.id, err: error }, "nothing to thaw");
    }
  }

  #take(agent: Agent): void {
    this.#connected = agent;
    void agent.closed.then((reason) => {
      if (this.#connected !== agent) return;
      this.#connected = undefined;
      this.#lost(reason);
    });
  }

  /** A guest that breaks the protocol fails; one whose channel is gone or silent may only be ending, or stuck. */
  #lost(reason: BangerError): void {
    if (reason.code === "guest_error") this.#broken.resolve(reason);
    else this.#ctx.log.debug({ vm: this.id, reason: reason.message }, "the agent cannot be reached");
  }
}

/** Ends what is left of a VM that ended by itself or broke the protocol; nothing to do when a verb ended it. Never throws. */
async function bury(ctx: VmContext, live: LiveVm, reason: BangerError | undefined): Promise<void> {
  await ctx.locks.hold(live.id, async () => {
    if (ctx.live.get(live.id) !== live) return;
    ctx.live.delete(live.id);
    try {
      live.disconnect();
      await live.running.kill({ graceMs: 0 });
      const failure = reason ?? failureOfExit(await live.running.exited);
      const error = failure === undefined ? undefined : (await withConsole(ctx, live.id, failure)).toBody();
      await cleanupVm(ctx, live.id, { endSeen: true });
      ctx.store.vms.update(live.id, { state: "stopped", stoppedAt: ctx.now(), lastError: error });
      ctx.log.info({ vm: live.id, error }, "the VM ended by itself");
    } catch (thrown) {
      const error = BangerError.from(thrown);
      ctx.log.error({ vm: live.id, err: error }, "a VM that ended could not be cleaned up");
      ctx.store.vms.update(live.id, { state: "error", stoppedAt: ctx.now(), lastError: error.toBody() });
    }
  });
}
