/** What a program writes, and a wait for it. */
import type { CliResult } from "./real-home.ts";

export class Words {
  readonly whole: Promise<string>;
  readonly #listeners = new Set<() => void>();
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.whole = this.#read(stream);
  }

  /** Resolves when it holds `text`; rejects when the program ends without. */
  async until(text: string, result: Promise<CliResult>): Promise<void> {
    const heard = Promise.withResolvers<void>();
    const listen = (): void => {
      if (this.#text.includes(text)) heard.resolve();
    };
    this.#listeners.add(listen);
    listen();
    void result.then((end) =>
      heard.reject(new Error(`it ended (${end.code}) and never said ${text}: ${end.stderr}`)),
    );
    try {
      await heard.promise;
    } finally {
      this.#listeners.delete(listen);
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#text += decoder.decode(chunk, { stream: true });
      for (const listener of this.#listeners) listener();
    }
    return this.#text;
  }
}
