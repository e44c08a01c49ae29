/** Doing something in another network namespace (network_namespaces(7)) without another process. */
import { closeSync, openSync } from "node:fs";
import { setNetns } from "./libc.ts";

/**
 * Runs `work` with this thread in the network namespace at `path`, and comes back whatever it throws. `work` must be
 * synchronous: what it creates (a socket, a child process, an open tap) belongs to that namespace for its life, and everything
 * after its return to the namespace of before. Needs root. Errors: `SystemCallError`, those of open(2), those of `work`.
 */
export function inNetns<T>(path: string, work: () => T): T {
  const own = openSync("/proc/thread-self/ns/net", "r");
  try {
    const other = openSync(path, "r");
    try {
      setNetns(other);
    } finally {
      closeSync(other);
    }
    try {
      return work();
    } finally {
      setNetns(own);
    }
  } finally {
    closeSync(own);
  }
}
