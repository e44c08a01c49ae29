/** Waits for somebody else's Unix socket: its name is watched for (inotify(7)), never asked for again and again. */
import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";

export interface NameWatch extends Disposable {
  /** Resolves when the name is there. */
  readonly named: Promise<void>;
  /** Gives up waiting. Safe to repeat. */
  [Symbol.dispose](): void;
}

/** Begins to watch; nothing is at `path` yet, and its directory exists. */
export function watchForName(path: string): NameWatch {
  const named = Promise.withResolvers<void>();
  const check = (): void => {
    if (existsSync(path)) named.resolve();
  };
  const watcher = watch(dirname(path), check);
  return { named: named.promise, [Symbol.dispose]: () => watcher.close() };
}
