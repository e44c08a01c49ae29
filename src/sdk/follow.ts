/** A WebSocket that only sends, as an async iterator. */
import { createDeferred } from "../lib/deferred.ts";
import { BangerError } from "../model/errors.ts";
import { connectionLost } from "./answers.ts";
import type { Transport } from "./transport.ts";

/** Bytes (of text: characters) that wait for their reader. No runtime's WebSocket can be told to read more slowly. */
export const MAX_WAITING: number = 16 * 1024 * 1024;

/**
 * Yields each message in order. Ends when the signal is aborted or the daemon closes the socket for good (code 1000). Errors:
 * `unavailable` when the connection cannot be made or is lost, `resource_exhausted` when more than `MAX_WAITING` comes before it is
 * taken; what came before is yielded first.
 */
export async function* follow(
  transport: Transport,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string | Uint8Array> {
  const queue: (string | Uint8Array)[] = [];
  let waiting = 0;
  let wake = createDeferred<void>();
  /** `undefined`: it goes on; an error, or how it ended well. */
  let end: BangerError | "well" | undefined;
  const finish = (how: BangerError | "well"): void => {
    end ??= how;
    wake.resolve();
    socket.close();
  };
  const push = (message: string | Uint8Array): void => {
    if (end !== undefined) return;
    waiting += message.length;
    if (waiting > MAX_WAITING) return finish(tooSlow());
    queue.push(message);
    wake.resolve();
  };
  const socket = transport.connect(path, {
    onOpen: () => undefined,
    onText: push,
    onBytes: push,
    onClose: (reason) => finish(reason === "code 1000" ? "well" : connectionLost(reason)),
  });
  const onAbort = (): void => finish("well");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    while (true) {
      while (queue.length > 0) {
        for (const message of queue.splice(0)) {
          waiting -= message.length;
          yield message;
        }
      }
      if (signal?.aborted === true || end === "well") return;
      if (end !== undefined) throw end;
      await wake.promise;
      wake = createDeferred();
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.close();
  }
}

function tooSlow(): BangerError {
  return new BangerError("resource_exhausted", `more than ${MAX_WAITING} bytes wait to be read`, {
    cure: "read faster, or write them into a file first",
  });
}
