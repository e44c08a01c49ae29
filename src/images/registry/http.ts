/**
 * One HTTP exchange: proxy and certificates chosen, no redirect followed, no content decoded, given up when nothing moves.
 * What the runtime says of a failure is not passed on, because its words hold URLs, and those of storage hold signatures.
 */
import type { Clock } from "../../lib/clock.ts";
import { abortError } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { errorFromFetch } from "./fetch-error.ts";
import { chooseProxy } from "./proxy.ts";
import { TransientError } from "./transient.ts";

/** No byte for this long, and the exchange is over. */
export const STALL_MS = 60_000;

export interface HttpOptions {
  /** Where the proxy variables are. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

export interface HttpRequest {
  readonly url: URL;
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Certificates in PEM; undefined: the system's. */
  readonly ca?: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/** An answer whose body was not read yet. Disposing ends the exchange, wherever it is. */
export interface HttpAnswer extends Disposable {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  /** The body as it was sent; read once. Errors: those of `send`. */
  chunks(): AsyncGenerator<Uint8Array>;
}

export class Http {
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /**
   * Sends a request and waits for the head of the answer, whatever its status. Errors: `TransientError` (no connection, cut,
   * stalled), `unavailable` (name, certificate), `failed_precondition` (proxy), `cancelled`.
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const { url, signal, ca } = request;
    const proxy = chooseProxy(url, this.#options.env);
    const exchange = new Exchange(url, signal, this.#options.clock);
    try {
      const response = await fetch(url, {
        method: request.method ?? "GET",
        headers: { "user-agent": "banger", "accept-encoding": "identity", ...request.headers },
        ...(request.body === undefined ? {} : { body: request.body }),
        redirect: "manual",
        decompress: false,
        // The choice above is the only one: the runtime has a look at the variables of its own process otherwise.
        proxy: proxy === undefined ? false : { url: proxy, respectNoProxy: false },
        ...(ca === undefined ? {} : { tls: { ca: [...ca] } }),
        signal: exchange.signal,
      });
      exchange.moved();
      if (response.status === 407) throw proxyWantsLogin();
      return {
        url,
        status: response.status,
        headers: response.headers,
        chunks: () => exchange.read(response),
        [Symbol.dispose]: () => exchange.end(),
      };
    } catch (error) {
      exchange.end();
      throw exchange.failure(error);
    }
  }
}

/** The watch over an exchange: whoever ends it, its timer and its listener go. */
class Exchange {
  readonly #url: URL;
  readonly #caller: AbortSignal;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #release: () => void = () => undefined;
  #over = false;

  constructor(url: URL, caller: AbortSignal, clock: Clock) {
    this.#url = url;
    this.#caller = caller;
    this.#clock = clock;
    if (caller.aborted) throw abortError(caller);
    caller.addEventListener("abort", this.#onAbort, { once: true });
    this.moved();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came: the wait for the next begins. */
  moved(): void {
    this.#release();
    if (this.#over) return;
    this.#release = this.#clock.after(STALL_MS, () => {
      this.#controller.abort(
        new TransientError("timeout", `${this.#url.host} has sent nothing for ${STALL_MS / 1000} s`),
      );
    });
  }

  async *read(response: Response): AsyncGenerator<Uint8Array> {
    if (response.body === null) return;
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        this.moved();
        yield value;
        // However long the reader took, it is the other side's turn now.
        this.moved();
      }
    } catch (error) {
      throw this.failure(error);
    } finally {
      this.end();
      // An aborted body may reject its cancel with what ended it, which is known.
      await reader.cancel().catch(() => undefined);
    }
  }

  end(): void {
    this.#over = true;
    this.#release();
    this.#caller.removeEventListener("abort", this.#onAbort);
    if (!this.#controller.signal.aborted) this.#controller.abort();
  }

  failure(error: unknown): BangerError {
    if (error instanceof BangerError) return error;
    if (this.#caller.aborted) return abortError(this.#caller);
    return errorFromFetch(error, this.#url);
  }

  readonly #onAbort = (): void => this.#controller.abort(abortError(this.#caller));
}

function proxyWantsLogin(): BangerError {
  return new BangerError("failed_precondition", "the HTTP proxy wants a user and a password", {
    cure: "write them into HTTPS_PROXY as http://user:password@host:port",
  });
}
