/** Work that goes one after the other, in the order in which it was asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all earlier work has ended, well or not. Rejects with what it throws. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    // Whoever asked for it hears of its failure.
    this.#last = mine.catch(() => undefined);
    return await mine;
  }
}
