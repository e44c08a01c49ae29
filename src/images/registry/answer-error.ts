/** What a status that is no success means: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes. */
import { z } from "zod";
import type { Clock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { DEFAULT_REGISTRY } from "../../model/image-reference.ts";
import { quote } from "../../model/names.ts";
import { readBody } from "./body.ts";
import type { HttpAnswer } from "./http.ts";
import { parseRetryAfterMs, TransientError } from "./transient.ts";

export interface RefusalContext {
  readonly registry: string;
  readonly clock: Clock;
  /** What was asked for, for `not_found`: a noun with its name. */
  readonly what?: string;
  /** The answer is that of the authorization service. */
  readonly tokenService?: boolean;
}

const MAX_BODY_BYTES = 64 * 1024;
const MAX_WORDS = 200;

const errorsSchema = z.object({
  errors: z.array(z.object({ code: z.string().nullish(), message: z.string().nullish() })).min(1),
});

/**
 * The error of an answer, whose body is read: `permission_denied` (401, 403), `not_found` (404), `resource_exhausted` (429),
 * `unavailable`. A `TransientError` where another attempt may succeed.
 */
export async function refusal(answer: HttpAnswer, context: RefusalContext): Promise<BangerError> {
  const { registry, clock } = context;
  const { status } = answer;
  const words = await wordsOf(answer);
  const said = words === "" ? "" : `: it says ${quote(words)}`;
  const details = { registry, status };
  const login = {
    cure: `log in with: docker login${registry === DEFAULT_REGISTRY ? "" : ` ${registry}`}`,
    details,
  };
  switch (status) {
    case 401:
      return new BangerError(
        "permission_denied",
        context.tokenService === true
          ? `${registry} does not accept the user and password that are stored for it${said}`
          : `${registry} wants to know who asks, or has no such image${said}`,
        login,
      );
    case 403:
      return new BangerError("permission_denied", `${registry} does not allow this${said}`, login);
    case 404:
      return new BangerError(
        "not_found",
        `${registry} does not have ${context.what ?? "what was asked for"}${said}`,
        {
          cure: "check the name and the tag",
          details,
        },
      );
    case 429: {
      const retryAfterMs = parseRetryAfterMs(answer.headers.get("retry-after"), clock);
      const wait = retryAfterMs === undefined ? "" : `, for ${Math.ceil(retryAfterMs / 1000)} s`;
      return new TransientError(
        "resource_exhausted",
        `${registry} asks to be left alone${wait}: too many requests`,
        {
          cure: "wait, log in for a higher limit, or configure a mirror",
          details,
          retryAfterMs,
        },
      );
    }
    default: {
      const message = `${registry} answers with status ${status}${said}`;
      // 408 and the 5xx are about this moment, the others about this request.
      if (status !== 408 && status < 500) return new BangerError("unavailable", message, { details });
      const retryAfterMs = parseRetryAfterMs(answer.headers.get("retry-after"), clock);
      return new TransientError("unavailable", message, { details, retryAfterMs });
    }
  }
}

/** Refuses a web page in place of what was asked for. Errors: `unavailable`. */
export function validateNoWebPage(answer: HttpAnswer, registry: string): void {
  if (!/^\s*text\/html\b/iu.test(answer.headers.get("content-type") ?? "")) return;
  throw new BangerError(
    "unavailable",
    `${registry} answers with a web page: it is no registry, or a proxy is in between`,
    {
      cure: "check the name, and the proxy",
      details: { registry, status: answer.status },
    },
  );
}

/** What the registry says about it; the code where it has no words. */
async function wordsOf(answer: HttpAnswer): Promise<string> {
  try {
    const body = await readBody(answer, { limitBytes: MAX_BODY_BYTES, what: "an error" });
    const parsed = errorsSchema.safeParse(JSON.parse(body.toString("utf8")));
    const first = parsed.data?.errors[0];
    return (first?.message || first?.code || "").slice(0, MAX_WORDS);
  } catch {
    // The status says enough; a body that is cut, huge or no JSON adds nothing.
    return "";
  }
}
