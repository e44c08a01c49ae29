/** Streams to files and connections of a running VM. Guest I/O never takes the VM's lock. */
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import { whileUsed } from "./auto-stop.ts";
import type { VmContext } from "./context.ts";
import { reachAgent } from "./exec.ts";
import { liveVm } from "./pause.ts";

/**
 * Opens a stream; the VM is in use until it has ended. Errors: `failed_precondition` (state), `unavailable` and `timeout` (the agent
 * does not answer); those of the request itself come through the stream's result.
 */
export async function openGuestStream(
  ctx: VmContext,
  vm: VmRecord,
  { request, handlers }: { readonly request: GuestStreamRequest; readonly handlers: StreamHandlers },
): Promise<AgentStream> {
  return await whileUsed(ctx, vm.id, async () => {
    decide("exec", vm);
    const agent = await reachAgent(vm, liveVm(ctx, vm).agent());
    return agent.openStream(request, handlers);
  });
}
