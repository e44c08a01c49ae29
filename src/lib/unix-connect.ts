/** Asking a Unix socket whether somebody is there. */
import { existsSync } from "node:fs";
import { connect } from "node:net";

/** Whether somebody listens on the socket. What is left of a dead listener refuses, or is gone. */
export async function listens(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  return await new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Connects, runs `work`, and resolves when the listener has closed the connection. Nobody there: at once, without `work`. */
export async function untilListenerIsGone(path: string, work: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => void work().catch(reject));
    socket.once("error", () => resolve());
    socket.once("close", () => resolve());
    socket.resume();
  });
}
