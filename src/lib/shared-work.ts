/** Work that several callers share: who asks for a key that is being worked on waits for the same result. */
import { abortError } from "./run-program.ts";

/** `S` is what the work says of its stages. */
export interface Waiter<S = string> {
  /** Ends this caller's waiting; the work itself is aborted when nobody waits any more. */
  readonly signal?: AbortSignal;
  /** Told each stage of the work; who joins later is told the current one first. Must not throw. */
  readonly onStage?: (stage: S) => void;
}

/** What the work itself gets. */
export interface WorkContext<S = string> {
  readonly signal: AbortSignal;
  readonly onStage: (stage: S) => void;
}

interface Running<T, S> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  readonly waiters: Set<Waiter<S>>;
  stage: S | undefined;
}

export class SharedWork<T, S = string> {
  private readonly running = new Map<string, Running<T, S>>();

  /**
   * Runs `work`, or joins the one that runs under this key. Rejects with the work's error, or `cancelled`
   * when this caller's own signal fires; the last caller to give up gets its rejection after the work has
   * cleaned up.
   */
  async run(key: string, waiter: Waiter<S>, work: (context: WorkContext<S>) => Promise<T>): Promise<T> {
    const { signal } = waiter;
    if (signal?.aborted === true) throw abortError(signal);
    const running = this.running.get(key) ?? this.begin(key, work);
    running.waiters.add(waiter);
    if (running.stage !== undefined) waiter.onStage?.(running.stage);
    if (signal === undefined) return running.result;

    let onAbort: () => void = () => undefined;
    const aborted = new Promise<"aborted">((resolve) => {
      onAbort = () => resolve("aborted");
      signal.addEventListener("abort", onAbort, { once: true });
    });
    const outcome = await Promise.race([running.result.then((value) => ({ value })), aborted]).finally(() =>
      signal.removeEventListener("abort", onAbort),
    );
    if (outcome !== "aborted") return outcome.value;
    running.waiters.delete(waiter);
    if (running.waiters.size === 0) await this.abandon(key, running);
    throw abortError(signal);
  }

  private begin(key: string, work: (context: WorkContext<S>) => Promise<T>): Running<T, S> {
    const controller = new AbortController();
    const waiters = new Set<Waiter<S>>();
    const running: Running<T, S> = {
      controller,
      waiters,
      stage: undefined,
      result: Promise.resolve().then(() =>
        work({
          signal: controller.signal,
          onStage: (stage) => {
            running.stage = stage;
            for (const waiter of waiters) waiter.onStage?.(stage);
          },
        }),
      ),
    };
    this.running.set(key, running);
    const forget = (): void => {
      if (this.running.get(key) === running) this.running.delete(key);
    };
    running.result.then(forget, forget);
    return running;
  }

  private async abandon(key: string, running: Running<T, S>): Promise<void> {
    // Who asks from now on starts anew rather than joining work that is being torn down.
    if (this.running.get(key) === running) this.running.delete(key);
    running.controller.abort();
    await running.result.then(
      () => undefined,
      () => undefined, // Nobody waits for it; the caller is told that it was cancelled.
    );
  }
}
