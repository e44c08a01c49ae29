/** Who uses blobs that belong to no image yet, and who may remove such: never both at once. */

export class BlobUse {
  #users = 0;
  #removal: Promise<unknown> = Promise.resolve();

  /** Whether somebody relies on blobs right now. */
  get busy(): boolean {
    return this.#users > 0;
  }

  /** Runs work that writes blobs and relies on those that are there; a removal that began before ends first. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      await this.#removal;
      return await work();
    } finally {
      this.#users -= 1;
    }
  }

  /** Runs a removal, unless blobs are in use: then the answer is undefined, and a later one has to do. */
  async removeIfIdle<T>(removal: () => Promise<T>): Promise<T | undefined> {
    if (this.#users > 0) return undefined;
    const running = this.#removal.then(removal);
    // Who waits for its end does not care how it ended.
    this.#removal = running.catch(() => undefined);
    return await running;
  }
}
