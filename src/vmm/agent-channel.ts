/** Connects to the Unix socket behind which a hypervisor offers the guest's agent channel, one client at a time. */
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { BangerError } from "../model/errors.ts";

/** Makes the function behind `Running.channel`. */
export function createChannelOpener(socketPath: string): () => Promise<Duplex> {
  let current: Socket | undefined;
  return async () => {
    if (current !== undefined && !current.closed) {
      throw new BangerError("failed_precondition", "the agent channel is open already", {
        details: { socketPath },
      });
    }
    const socket = connect(socketPath);
    current = socket;
    await connected(socket, socketPath);
    return socket;
  };
}

/** Resolves when a socket is connected; destroys it otherwise. Errors: `unavailable`. */
export async function connected(socket: Socket, socketPath: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(new BangerError("unavailable", `cannot connect to ${socketPath}`, { cause }));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.removeListener("error", fail);
      resolve();
    });
  });
}
