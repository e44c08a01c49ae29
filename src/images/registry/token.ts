/**
 * Tokens from a registry's authorization service: https://distribution.github.io/distribution/spec/auth/token/ and, for
 * refresh tokens, https://distribution.github.io/distribution/spec/auth/oauth/.
 */
import { z } from "zod";
import type { Clock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";
import { refusal } from "./answer-error.ts";
import { readBody } from "./body.ts";
import { basicHeader, type Credentials } from "./credentials.ts";
import type { Http } from "./http.ts";
import { isLoopback } from "./proxy.ts";
import { sendFollowing } from "./redirects.ts";
import type { Patience } from "./transient.ts";

export interface TokenRequest {
  /** The name of the registry, for errors. */
  readonly registry: string;
  /** As the challenge has it. */
  readonly realm: string;
  readonly service: string | undefined;
  readonly scope: string;
  readonly credentials: Credentials | undefined;
  readonly ca: readonly string[] | undefined;
  /** The registry itself is spoken to by plain HTTP, as the user wants it. */
  readonly plainHttp: boolean;
}

export interface Token {
  readonly value: string;
  /** By the clock; a little before the service's own idea. */
  readonly expiresAtMs: number;
}

const MAX_ANSWER_BYTES = 1024 * 1024;
/** What the specification says when the service does not. */
const DEFAULT_LIFE_S = 60;
const MAX_LIFE_S = 3600;
const MARGIN_MS = 5000;

const answerSchema = z.object({
  token: z.string().nullish(),
  access_token: z.string().nullish(),
  expires_in: z.number().nullish(),
});

/** Asks once. Errors: `permission_denied` (refused), `unavailable` (the service is broken or unsafe), those of `Http.send`. */
export async function fetchToken(http: Http, request: TokenRequest, patience: Patience): Promise<Token> {
  const url = realmUrl(request);
  const { clock, signal } = patience;
  const exchange = { ca: request.ca, signal };
  using answer =
    request.credentials?.kind === "identity"
      ? await http.send({ ...exchange, ...refreshRequest(url, request, request.credentials.token) })
      : await sendFollowing(http, { ...exchange, ...anonymousOrBasic(url, request) });
  if (answer.status !== 200)
    throw await refusal(answer, { registry: request.registry, clock, tokenService: true });
  return parseToken(await readBody(answer, { limitBytes: MAX_ANSWER_BYTES, what: "the token" }), url, clock);
}

/** Credentials go by TLS, or to this host. */
function realmUrl({ registry, realm, credentials }: TokenRequest): URL {
  const url = URL.parse(realm);
  const safe =
    url?.protocol === "https:" || (url !== null && isLoopback(url.hostname)) || credentials === undefined;
  if (url !== null && /^https?:$/u.test(url.protocol) && safe) return url;
  throw new BangerError(
    "unavailable",
    `${registry} asks to fetch a token from ${quote(realm)}, where credentials would not be safe`,
  );
}

function anonymousOrBasic(
  base: URL,
  { service, scope, credentials }: TokenRequest,
): {
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly authorization: string | undefined;
} {
  const url = new URL(base);
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", scope);
  if (credentials?.kind !== "password") return { url, headers: {}, authorization: undefined };
  url.searchParams.set("account", credentials.username);
  return { url, headers: {}, authorization: basicHeader(credentials.username, credentials.password) };
}

function refreshRequest(
  url: URL,
  { service, scope }: TokenRequest,
  refreshToken: string,
): {
  readonly url: URL;
  readonly method: "POST";
  readonly headers: Record<string, string>;
  readonly body: string;
} {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: "banger",
    scope,
    refresh_token: refreshToken,
    ...(service === undefined ? {} : { service }),
  });
  return {
    url,
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: form.toString(),
  };
}

function parseToken(bytes: Buffer, url: URL, clock: Clock): Token {
  const parsed = answerSchema.safeParse(parseJson(bytes.toString("utf8")));
  const value = parsed.data?.token || parsed.data?.access_token || "";
  // It becomes a header.
  if (!parsed.success || !/^[\x21-\x7e]{1,65536}$/u.test(value)) {
    throw new BangerError("unavailable", `${url.host} did not answer with a token`);
  }
  const lifeS = Math.min(Math.max(parsed.data.expires_in ?? DEFAULT_LIFE_S, 0), MAX_LIFE_S);
  return { value, expiresAtMs: clock.now() + Math.max(0, lifeS * 1000 - MARGIN_MS) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's words quote the text; the schema refuses it without them.
    return undefined;
  }
}
