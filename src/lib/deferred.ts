/** A promise and what settles it: `Promise.withResolvers`, which Node.js 20 has not. */

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason?: unknown) => void;
}

export function createDeferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, "promise"> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // The executor has run by now (ECMA-262, Promise constructor).
  if (settle === undefined) throw new Error("a promise was made without its executor");
  return { promise, ...settle };
}
