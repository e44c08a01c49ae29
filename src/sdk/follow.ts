/** A WebSocket that only sends, as an async iterator. */
import { createDeferred } from "../lib/deferred.ts";
import { BangerError } from "../model/errors.ts";
import type { Transport } from "./transport.ts";

/**
 * Yields each message in order. Ends when the signal is aborted or the daemon closes the socket for good (code 1000). Errors:
 * `unavailable` when the connection cannot be made or is lost.
 */
export async function* follow(
  transport: Transport,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string | Uint8Array> {
  const queue: (string | Uint8Array)[] = [];
  let wake = createDeferred<void>();
  let closed: string | undefined;
  const push = (message: string | Uint8Array): void => {
    queue.push(message);
    wake.resolve();
  };
  const socket = transport.connect(path, {
    onOpen: () => undefined,
    onText: push,
    onBytes: push,
    onClose: (reason) => {
      closed = reason;
      wake.resolve();
    },
  });
  const onAbort = (): void => socket.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    while (true) {
      yield* queue.splice(0);
      if (signal?.aborted === true || closed === "code 1000") return;
      if (closed !== undefined) throw lost(closed);
      await wake.promise;
      wake = createDeferred();
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.close();
  }
}

function lost(reason: string): BangerError {
  return new BangerError("unavailable", `the connection to the daemon was lost (${reason})`, {
    cure: "see whether it runs with: banger daemon status",
  });
}
