/**
 * Connecting to a Unix socket that somebody less trusted has made, or whose path is too long for an address. The name is
 * opened without following it, and the connection goes to what was opened (proc(5), /proc/self/fd), so that neither a
 * symbolic link nor the 107 bytes of `sun_path` (unix(7)) matter.
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { BangerError } from "../model/errors.ts";

/** open(2) for the name alone: O_PATH of linux/fcntl.h, which Node does not export. */
const O_PATH = 0o10000000;

/**
 * Resolves when the socket at `path` has accepted us; the stream is the caller's, who listens for its `error`. Errors:
 * `unavailable` (nobody listens, or `path` is no socket).
 */
export async function connectUnix(path: string): Promise<Socket> {
  const fd = openName(path);
  try {
    if (!fstatSync(fd).isSocket()) throw new BangerError("unavailable", `${path} is not a socket`);
    return await opened(connect(`/proc/self/fd/${fd}`), path);
  } finally {
    closeSync(fd);
  }
}

function openName(path: string): number {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new BangerError("unavailable", `cannot connect to ${path}`, { cause });
  }
}

async function opened(socket: Socket, path: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(new BangerError("unavailable", `cannot connect to ${path}`, { cause }));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.removeListener("error", fail);
      resolve(socket);
    });
  });
}
