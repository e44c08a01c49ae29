/** From bytes of a client to a value that a schema has accepted. */
import type { z } from "zod";
import { MAX_BODY_BYTES } from "../api/paths.ts";
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";

/** Parses a JSON body. Errors: `invalid_argument` (JSON, unknown or bad fields), `resource_exhausted` (size). */
export async function decodeBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (length > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return decodeJson(Buffer.concat(chunks).toString("utf8"), schema);
}

/** Parses JSON text; an empty one is `{}`. Errors: `invalid_argument`. */
export function decodeJson<T>(text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw new BangerError("invalid_argument", "the body is not JSON", { cause: error });
  }
  return decodeValue(value, schema);
}

/** Parses the query. Errors: `invalid_argument`, also for a parameter that is given twice or unknown. */
export function decodeQuery<T>(url: URL, schema: z.ZodType<T>): T {
  const names = [...url.searchParams.keys()];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new BangerError("invalid_argument", `the parameter ${quote(twice)} is given twice`);
  return decodeValue(Object.fromEntries(url.searchParams), schema);
}

function decodeValue<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  const message = issue?.message ?? "it does not fit";
  // The rules of the model speak in whole sentences of their own.
  const words = message.startsWith("the ") ? message : `${where === "" ? "the request" : where}: ${message}`;
  throw new BangerError("invalid_argument", words, { details: where === "" ? {} : { field: where } });
}

function tooLarge(): BangerError {
  return new BangerError("resource_exhausted", `the body is larger than ${MAX_BODY_BYTES} bytes`);
}
