/** Locks by key: first come, first served, nothing kept for keys that nobody holds. */

export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Whether somebody holds the lock of `key` or waits for it. */
  isHeld(key: string): boolean {
    return this.#tails.has(key);
  }

  /** Runs `work` while holding the lock of `key`; its outcome is the caller's. */
  async hold<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const { promise: mine, resolve: release } = Promise.withResolvers<void>();
    const tail = before.then(() => mine);
    this.#tails.set(key, tail);
    await before;
    try {
      return await work();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
