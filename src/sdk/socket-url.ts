/** The address of a WebSocket on a Unix socket, whatever characters its path has. */
import { closeSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";

/** What both runtimes take in such an address as it stands; everything else they take for syntax, or for nothing. */
const PLAIN = /^[A-Za-z0-9/_.~-]+$/;

/**
 * `ws+unix://SOCKET:PATH` for a connection that is made at once. A path with other characters is reached through a descriptor of its
 * directory (proc(5), /proc/self/fd), which `release` lets go when the connection is made or has failed.
 */
export function socketUrl(
  socketPath: string,
  path: string,
): { readonly url: string; readonly release: () => void } {
  if (PLAIN.test(socketPath)) return { url: `ws+unix://${socketPath}:${path}`, release: () => undefined };
  const directory = openSync(dirname(socketPath), "r");
  let open = true;
  return {
    url: `ws+unix:///proc/self/fd/${directory}/${basename(socketPath)}:${path}`,
    release: () => {
      if (open) closeSync(directory);
      open = false;
    },
  };
}
