/** A wait for a while that keeps no process alive. */

/** Resolves after so many milliseconds, or at once with the signal; the timer and the listener always go. */
export async function quiet(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const end = (): void => over.resolve();
  const timer = setTimeout(end, ms);
  timer.unref();
  signal.addEventListener("abort", end, { once: true });
  await over.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", end);
}
