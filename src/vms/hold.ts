/** A VM that stays what it is for a while: for whoever saves it. */
import type { Agent } from "../guest/agent.ts";
import type { Operation } from "../model/state-machine.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { Running } from "../vmm/port.ts";
import type { VmContext } from "./context.ts";
import { reachAgent } from "./exec.ts";
import { currentVm } from "./find.ts";
import { liveVm } from "./pause.ts";

export interface HeldVm {
  readonly vm: VmRecord;
  /** There may be none yet. */
  readonly diskPath: string;
  /** Undefined while it is stopped. */
  readonly running: Running | undefined;
  /** Undefined while it is stopped or paused. */
  readonly agent: Agent | undefined;
}

/** Runs `work` while nothing else changes the VM's life. Errors: `failed_precondition` (state), `unavailable`, `timeout` (agent), those of `work`. */
export async function holdVm<T>(
  ctx: VmContext,
  id: string,
  operation: Extract<Operation, "snapshot" | "fork">,
  work: (held: HeldVm) => Promise<T>,
): Promise<T> {
  return await ctx.locks.hold(id, async () => {
    const vm = currentVm(ctx, id);
    decide(operation, vm);
    const isUp = vm.state === "running" || vm.state === "paused";
    const live = isUp ? liveVm(ctx, vm) : undefined;
    const agent =
      vm.state === "running" && live !== undefined ? await reachAgent(vm, live.agent()) : undefined;
    return await work({ vm, diskPath: ctx.layout.disk(id), running: live?.running, agent });
  });
}
