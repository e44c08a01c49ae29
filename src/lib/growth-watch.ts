/** Looking at a file from time to time, and only while somebody writes to it. */
import { watch } from "node:fs";

export interface GrowthWatch {
  /** The file is looked at this often at most. */
  readonly everyMs: number;
  readonly look: () => Promise<void>;
  /** Hears what `look` and the watch throw later. */
  readonly onError: (error: unknown) => void;
}

/** Watches the file at `path`, which exists. Keeps no process alive. Disposing ends it. Throws what the kernel says. */
export function watchGrowth(path: string, { everyMs, look, onError }: GrowthWatch): Disposable {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watcher = watch(path, () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      look().catch(onError);
    }, everyMs);
    timer.unref();
  });
  watcher.on("error", onError);
  watcher.unref();
  return {
    [Symbol.dispose]: () => {
      watcher.close();
      clearTimeout(timer);
    },
  };
}
