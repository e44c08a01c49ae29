/** Redirects, followed by hand: credentials stay with the host that they are for. */
import { BangerError } from "../../model/errors.ts";
import type { Http, HttpAnswer, HttpRequest } from "./http.ts";

const MAX_REDIRECTS = 8;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export interface FollowedRequest extends HttpRequest {
  /** Sent to the first host only, and no more once that was left. */
  readonly authorization: string | undefined;
}

/** Sends a request without a body. Errors: those of `Http.send`; `unavailable` for redirects that lead nowhere good. */
export async function sendFollowing(http: Http, request: FollowedRequest): Promise<HttpAnswer> {
  let { url, authorization } = request;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const headers = { ...request.headers, ...(authorization === undefined ? {} : { authorization }) };
    const answer = await http.send({ ...request, url, headers });
    if (!REDIRECTS.includes(answer.status)) return answer;
    using _ = answer;
    const next = nextUrl(url, answer.headers.get("location"));
    if (next.origin !== url.origin) authorization = undefined;
    url = next;
  }
  throw new BangerError("unavailable", `${request.url.host} redirects more than ${MAX_REDIRECTS} times`);
}

/** Its query may be a secret and is never shown. */
function nextUrl(from: URL, location: string | null): URL {
  const to = location === null ? null : URL.parse(location, from.href);
  if (to === null || (to.protocol !== "https:" && to.protocol !== "http:")) {
    throw new BangerError("unavailable", `${from.host} redirects to nowhere`);
  }
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new BangerError("unavailable", `${from.host} redirects from TLS to plain HTTP, to ${to.host}`);
  }
  // RFC 9110 4.2.4: what stands there may have come from anybody.
  to.username = "";
  to.password = "";
  return to;
}
