/** JSON documents of images: bounded, decoded strictly, and checked by a schema whose complaint becomes one sentence. */
import type { z } from "zod";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";

/** What distribution-spec asks every registry to take, and what others refuse above. */
export const MAX_DOCUMENT_BYTES: number = 4 * 1024 * 1024;

/** Deeper than any document of an image is. */
const MAX_DEPTH = 64;

/**
 * The object that the bytes hold. `what` names the document in errors. Errors: `invalid_argument` (too large, no
 * UTF-8, no JSON, nested too deeply, no object).
 */
export function parseDocument(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  if (bytes.byteLength > MAX_DOCUMENT_BYTES) {
    throw new BangerError(
      "invalid_argument",
      `${what} has more than the ${MAX_DOCUMENT_BYTES} bytes that it may have`,
    );
  }
  const text = decode(bytes, what);
  // Checked first: a parser may use its stack for each level.
  if (isDeeperThan(text, MAX_DEPTH))
    throw new BangerError("invalid_argument", `${what} is nested too deeply`);
  const value = parseJson(text, what);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new BangerError("invalid_argument", `${what} is not a JSON object`);
}

/** What the schema makes of a value. Errors: `invalid_argument`, naming the first field that is wrong. */
export function checkDocument<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field =
    issue === undefined || issue.path.length === 0 ? "" : `, field ${quote(issue.path.join("."))}`;
  throw new BangerError(
    "invalid_argument",
    `${what} is not valid${field}: ${(issue?.message ?? "").slice(0, 200)}`,
  );
}

function decode(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new BangerError("invalid_argument", `${what} is not UTF-8`, { cause: error });
  }
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const html = /^\s*<(?:!doctype|html|head|body)\b/iu.test(text);
    throw new BangerError("invalid_argument", `${what} is ${html ? "an HTML page" : "not JSON"}`, {
      cause: error,
    });
  }
}

/** Whether more brackets than that are open at once, outside of strings. */
function isDeeperThan(text: string, limit: number): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gsu)) {
    if (token === "[" || token === "{") depth += 1;
    else if (token === "]" || token === "}") depth -= 1;
    if (depth > limit) return true;
  }
  return false;
}
