/** Taking a connection that a guest has asked for: its kernel shakes hands with the program, and then bytes flow. */
import { z } from "zod";
import type { Agent } from "../../guest/agent.ts";
import type { AgentStream, StreamHandlers } from "../../guest/stream.ts";
import type { Clock } from "../../lib/clock.ts";
import { TAKE_MS } from "./limits.ts";

const ConnectedSchema: z.ZodType<{ connected: object }> = z.object({ connected: z.object({}) });

export interface FlowToTake {
  readonly id: number;
  /** Bytes under way each way. */
  readonly window: number;
  readonly clock: Clock;
}

/** Opens its stream; resolves when bytes may flow. Errors: `not_found` (the program has given up), `cancelled`. */
export function takeFlow(
  agent: Pick<Agent, "takeFlow">,
  { id, window, clock }: FlowToTake,
): (handlers: StreamHandlers) => Promise<AgentStream> {
  return async (handlers) => {
    const connected = Promise.withResolvers<void>();
    const stream = agent.takeFlow(
      { id, window },
      {
        ...handlers,
        onControl: (message) => {
          if (ConnectedSchema.safeParse(message).success) connected.resolve();
        },
      },
    );
    const letGo = clock.after(TAKE_MS, () => stream.reset());
    try {
      await Promise.race([connected.promise, stream.result]);
    } finally {
      letGo();
    }
    return stream;
  };
}
