/** Asking a Unix socket whether somebody is there. Bun's own sockets: loading node:net would cost every command 7 ms. */
import { existsSync } from "node:fs";

/** Whether somebody listens on the socket. What is left of a dead listener refuses, or is gone. */
export async function listens(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.terminate();
    return true;
  } catch {
    // Refused: nobody is behind it.
    return false;
  }
}

/** Connects, runs `work`, and resolves when the listener has closed the connection. Nobody there: at once, without `work`. */
export async function untilListenerIsGone(path: string, work: () => Promise<void>): Promise<void> {
  if (!existsSync(path)) return;
  const gone = Promise.withResolvers<void>();
  try {
    await Bun.connect({
      unix: path,
      socket: { data: () => undefined, close: () => gone.resolve(), error: () => gone.resolve() },
    });
  } catch {
    // Refused: nobody is behind it.
    return;
  }
  await work();
  await gone.promise;
}
