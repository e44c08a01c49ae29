/** Waits for somebody else's Unix socket to listen. */
import { readFileSync } from "node:fs";
import { watchForName } from "../name-watch.ts";

export interface ListenerWatch extends Disposable {
  /** Resolves when the socket accepts connections; never rejects. */
  readonly listening: Promise<void>;
  /** Gives up waiting. Safe to repeat. */
  [Symbol.dispose](): void;
}

/** Begins to watch; nothing is at `path` yet, and its directory exists. */
export function watchForListener(path: string): ListenerWatch {
  const listening = Promise.withResolvers<void>();
  let open = true;
  const check = (): void => {
    if (!open) return;
    if (isListening(path)) return listening.resolve();
    // Between its bind(2), which made the name and so called us, and its listen(2), which nothing tells of.
    setImmediate(check);
  };
  const watch = watchForName(path);
  void watch.named.then(check);
  return {
    listening: listening.promise,
    [Symbol.dispose]() {
      open = false;
      watch[Symbol.dispose]();
    },
  };
}

/** The flag of a listening socket in /proc/net/unix (proc(5); __SO_ACCEPTCON in linux/net.h). */
const LISTENING = "00010000";

function isListening(path: string): boolean {
  return readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .some((line) => line.endsWith(` ${path}`) && line.split(/\s+/)[3] === LISTENING);
}
