/** Connects to the Unix socket behind which a hypervisor offers the guest's agent channel, one client at a time. */
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { BangerError } from "../model/errors.ts";

/** Makes the function behind `Running.channel` for a hypervisor that serves the channel on a socket of its own. */
export function createChannelOpener(socketPath: string): () => Promise<Duplex> {
  return oneAtATime(async () => {
    const socket = connect(socketPath);
    await connected(socket, socketPath);
    return socket;
  });
}

/** Refuses to open while what was opened before, or is being opened, is not closed. Errors: `failed_precondition`, those of `open`. */
export function oneAtATime(open: () => Promise<Duplex>): () => Promise<Duplex> {
  let taken = false;
  return async () => {
    if (taken) throw new BangerError("failed_precondition", "the agent channel is open already");
    taken = true;
    const release = (): void => {
      taken = false;
    };
    try {
      const channel = await open();
      if (channel.closed) release();
      else channel.once("close", release);
      return channel;
    } catch (error) {
      release();
      throw error;
    }
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
