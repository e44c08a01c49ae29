/** A bounded wait for a promise, whose timer never outlives it. */

/** Whether the promise settles (either way) within `timeoutMs`. */
export async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = Promise.withResolvers<boolean>();
  const handle = setTimeout(() => timer.resolve(false), timeoutMs);
  const settled = promise.then(
    () => true,
    // The caller asked whether it settles; how it does is for whoever awaits the promise itself.
    () => true,
  );
  try {
    return await Promise.race([settled, timer.promise]);
  } finally {
    clearTimeout(handle);
  }
}
