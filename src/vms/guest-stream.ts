/** Streams to files and connections of a running VM. Guest I/O never takes the VM's lock. */
import type { Agent, GuestDial } from "../guest/agent.ts";
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { BangerError } from "../model/errors.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import type { GuestTreeRequest } from "../model/guest-tree.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import { whileUsed } from "./auto-stop.ts";
import type { VmContext } from "./context.ts";
import { reachAgent } from "./exec.ts";
import { liveVm } from "./pause.ts";

/** Streams of a guest that published ports leave to everything else. */
const KEPT_STREAMS = 64;

/**
 * Opens a stream; the VM is in use until it has ended. Errors: `failed_precondition` (state), `unavailable` and `timeout` (the agent
 * does not answer); those of the request itself come through the stream's result.
 */
export async function openGuestStream(
  ctx: VmContext,
  vm: VmRecord,
  {
    request,
    handlers,
  }: { readonly request: GuestStreamRequest | GuestTreeRequest; readonly handlers: StreamHandlers },
): Promise<AgentStream> {
  return await whileUsed(ctx, vm.id, async () => {
    decide("exec", vm);
    const agent = await reachAgent(vm, liveVm(ctx, vm).agent());
    return agent.openStream(request, handlers);
  });
}

/** The agent of a running VM; this is no use of it. Errors: those of `openGuestStream`. */
export async function runningAgent(ctx: VmContext, vm: VmRecord): Promise<Agent> {
  decide("exec", vm);
  return await reachAgent(vm, liveVm(ctx, vm).agent());
}

/** A running VM is in use until this is disposed. Errors: `failed_precondition` (state). */
export function useVm(ctx: VmContext, vm: VmRecord): Disposable {
  decide("exec", vm);
  return ctx.idle.use(vm.id);
}

/**
 * Connects to a port of the guest, for the `nth` of the connections of its published ports; the VM is in use until it has ended.
 * Errors: those of `openGuestStream`; `resource_exhausted` when the guest has no more streams to give away.
 */
export async function dialGuest(
  ctx: VmContext,
  vm: VmRecord,
  {
    target,
    handlers,
  }: { readonly target: GuestDial & { readonly nth: number }; readonly handlers: StreamHandlers },
): Promise<AgentStream> {
  return await whileUsed(ctx, vm.id, async () => {
    decide("exec", vm);
    const agent = await reachAgent(vm, liveVm(ctx, vm).agent());
    if (target.nth > agent.streams - KEPT_STREAMS) {
      throw new BangerError("resource_exhausted", `${vm.name} has ${target.nth - 1} connections already`);
    }
    return agent.dial(target, handlers);
  });
}
