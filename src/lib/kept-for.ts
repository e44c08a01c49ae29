/** A value that is dear to get and may be a little old. */

/** What `make` returned last, made anew once it is `ms` old by `now`, a clock that only goes forwards. Errors: those of `make`. */
export function keptFor<T>(ms: number, make: () => T, now: () => number = () => performance.now()): () => T {
  let kept: { readonly value: T; readonly madeAt: number } | undefined;
  return () => {
    const at = now();
    if (kept === undefined || at - kept.madeAt >= ms) kept = { value: make(), madeAt: at };
    return kept.value;
  };
}
