/** The header `Authorization` for one registry during one pull: made when it is asked for, kept, and made anew when refused. */
import type { Clock } from "../../lib/clock.ts";
import { KeyedLock } from "../../lib/keyed-lock.ts";
import { BangerError } from "../../model/errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { basicHeader, type Credentials } from "./credentials.ts";
import type { Http } from "./http.ts";
import { fetchToken } from "./token.ts";

export interface AuthorizerOptions {
  /** Its name, for errors. */
  readonly registry: string;
  readonly repository: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly ca: readonly string[] | undefined;
  readonly plainHttp: boolean;
  /** Asked once when it succeeds, and not before the registry wants to know. */
  readonly credentials: (signal: AbortSignal) => Promise<Credentials | undefined>;
}

interface Header {
  readonly value: string;
  /** By the clock; infinite for what does not expire. */
  readonly expiresAtMs: number;
}

export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #lock = new KeyedLock();
  #credentials: { readonly found: Credentials | undefined } | undefined;
  #header: Header | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The header that worked last; undefined: none is known, or its time is over. */
  get header(): string | undefined {
    const { clock } = this.#options;
    return this.#header !== undefined && clock.now() < this.#header.expiresAtMs
      ? this.#header.value
      : undefined;
  }

  /**
   * The header that answers a 401. `refused` is the one that was sent; when it is no longer the current one, the current one
   * is the answer, so that many refused at once fetch one token. Errors: `permission_denied`, and those of `fetchToken`.
   */
  async renew(challenge: string | null, refused: string | undefined, signal: AbortSignal): Promise<string> {
    return await this.#lock.hold("header", async () => {
      const current = this.header;
      if (current !== undefined && current !== refused) return current;
      const header = await this.#answer(parseChallenges(challenge ?? ""), signal);
      if (header.value === refused) throw this.#denied("does not accept the login that is stored for it");
      this.#header = header;
      return header.value;
    });
  }

  async #answer(challenges: readonly Challenge[], signal: AbortSignal): Promise<Header> {
    this.#credentials ??= { found: await this.#options.credentials(signal) };
    const credentials = this.#credentials.found;
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    if (bearer !== undefined) return await this.#bearer(bearer, credentials, signal);
    if (!challenges.some(({ scheme }) => scheme === "basic")) {
      throw this.#denied("wants to know who asks, in a way that is not known here");
    }
    if (credentials?.kind !== "password")
      throw this.#denied("wants a user and a password, and none are stored for it");
    return { value: basicHeader(credentials.username, credentials.password), expiresAtMs: Infinity };
  }

  async #bearer(
    { parameters }: Challenge,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<Header> {
    if (credentials?.kind === "access")
      return { value: `Bearer ${credentials.token}`, expiresAtMs: Infinity };
    const { http, clock, registry, ca, plainHttp } = this.#options;
    const request = {
      registry,
      realm: parameters.get("realm") ?? "",
      service: parameters.get("service"),
      scope: this.#scope(parameters.get("scope")),
      credentials,
      ca,
      plainHttp,
    };
    const { value, expiresAtMs } = await fetchToken(http, request, { clock, signal });
    return { value: `Bearer ${value}`, expiresAtMs };
  }

  /** Registries behind another name call the repository by another one; whatever they ask for, it is for reading. */
  #scope(asked: string | undefined): string {
    const match = /^repository:([^\s:]{1,255}(?::\d{1,5}\/[^\s:]{1,255})?):[^\s:]*$/u.exec(asked ?? "");
    return `repository:${match?.[1] ?? this.#options.repository}:pull`;
  }

  #denied(what: string): BangerError {
    const { registry } = this.#options;
    return new BangerError("permission_denied", `${registry} ${what}`, {
      cure: `log in with: docker login ${registry}`,
      details: { registry },
    });
  }
}
