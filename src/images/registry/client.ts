/** One repository of one registry, as one pull reads it: requests with login, redirects and statuses dealt with. */
import type { Clock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { refusal, validateNoWebPage } from "./answer-error.ts";
import { Authorizer } from "./authorizer.ts";
import { findCredentials } from "./docker-config.ts";
import { type Endpoint, findApiRoot } from "./endpoint.ts";
import type { Http, HttpAnswer } from "./http.ts";
import { sendFollowing } from "./redirects.ts";
import { findCertificates, type Trust } from "./trust.ts";

export interface ClientOptions {
  readonly endpoint: Endpoint;
  readonly http: Http;
  readonly clock: Clock;
  readonly trust: Trust;
  /** Where `DOCKER_CONFIG`, `HOME` and `PATH` are. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ApiRequest {
  /** Below the repository: `manifests/latest`. */
  readonly path: string;
  /** What it is, for errors: a noun with its name. */
  readonly what: string;
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses beside 200 that are answers and no errors. */
  readonly accepted?: readonly number[];
  readonly signal: AbortSignal;
}

interface Connection {
  readonly root: URL;
  readonly ca: readonly string[] | undefined;
  readonly authorizer: Authorizer;
}

export class RegistryClient {
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly #options: ClientOptions;
  #connection: Promise<Connection> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    this.clock = options.clock;
  }

  /**
   * Sends one request, once more after a login, and gives an answer that is no error; the caller disposes it. Errors:
   * `TransientError`, `permission_denied`, `not_found`, `unavailable`, `failed_precondition`, `cancelled`.
   */
  async request(request: ApiRequest): Promise<HttpAnswer> {
    const connection = await this.#connect(request.signal);
    const answer = await this.#send(connection, request);
    const { status } = answer;
    try {
      if (status === 200 || request.accepted?.includes(status) === true) {
        validateNoWebPage(answer, this.endpoint.registry);
        return answer;
      }
      throw await refusal(answer, {
        registry: this.endpoint.registry,
        clock: this.clock,
        what: request.what,
      });
    } catch (error) {
      answer[Symbol.dispose]();
      throw error;
    }
  }

  async #send({ root, ca, authorizer }: Connection, request: ApiRequest): Promise<HttpAnswer> {
    const url = new URL(`${this.endpoint.repository}/${request.path}`, root);
    const { signal } = request;
    const send = async (authorization: string | undefined): Promise<HttpAnswer> =>
      await sendFollowing(this.#options.http, {
        url,
        method: request.method ?? "GET",
        headers: request.headers ?? {},
        authorization,
        ca,
        signal,
      });
    const sent = authorizer.header;
    const answer = await send(sent);
    // A 401 of the storage behind a redirect asks for no login here.
    if (answer.status !== 401 || answer.url.origin !== url.origin) return answer;
    using _ = answer;
    return await send(await authorizer.renew(answer.headers.get("www-authenticate"), sent, signal));
  }

  /** Many may ask at once; a failure is not kept. */
  async #connect(signal: AbortSignal): Promise<Connection> {
    this.#connection ??= this.#open(signal);
    try {
      return await this.#connection;
    } catch (error) {
      this.#connection = undefined;
      throw error;
    }
  }

  async #open(signal: AbortSignal): Promise<Connection> {
    const { endpoint, http, clock, trust, env } = this.#options;
    const { registry, repository, settings } = endpoint;
    const ca = await findCertificates(registry, settings.ca, trust);
    const root = await findApiRoot(endpoint, http, { ca, signal });
    const authorizer = new Authorizer({
      registry,
      repository,
      http,
      clock,
      ca,
      plainHttp: root.protocol === "http:",
      credentials: async (signal) => await findCredentials(registry, env, signal),
    });
    return { root, ca, authorizer };
  }
}

/** Asks one after the other until one has it. Errors: the last one's; `cancelled` at once. */
export async function tryEach<T>(
  clients: readonly RegistryClient[],
  signal: AbortSignal,
  work: (client: RegistryClient) => Promise<T>,
): Promise<{ readonly value: T; readonly client: RegistryClient }> {
  const passedOver: { registry: string; message: string }[] = [];
  let failure: BangerError | undefined;
  for (const client of clients) {
    try {
      return { value: await work(client), client };
    } catch (thrown) {
      failure = BangerError.from(thrown);
      if (failure.code === "cancelled" || signal.aborted) throw thrown;
      passedOver.push({ registry: client.endpoint.registry, message: failure.message });
    }
  }
  if (failure === undefined) throw new BangerError("internal", "there is no registry to ask");
  if (passedOver.length < 2) throw failure;
  const { code, message, cure } = failure;
  throw new BangerError(code, message, {
    ...(cure === undefined ? {} : { cure }),
    details: { ...failure.details, mirrors: passedOver.slice(0, -1) },
    cause: failure,
  });
}
