/** This thread in another network namespace for a while: a test's daemon then has that namespace as its host. */
import { closeSync, openSync } from "node:fs";
import { setNetns } from "../../src/lib/libc.ts";

export class EnteredNetns implements Disposable {
  readonly #own: number;

  constructor(path: string) {
    this.#own = openSync("/proc/thread-self/ns/net", "r");
    const other = openSync(path, "r");
    setNetns(other);
    closeSync(other);
  }

  [Symbol.dispose](): void {
    setNetns(this.#own);
    closeSync(this.#own);
  }
}
