/** The checks that need no state: is this a call that exists, with a body of the right shape; is the answer one. */
import { DEFINITIONS } from "./definitions.ts";
import type { Answer } from "./http-answer.ts";
import type { HttpRequest } from "./http-reader.ts";
import { type FoundOperation, findOperation } from "./operations.ts";
import { violation } from "./refusal.ts";
import { isObject, schemaFault } from "./schema.ts";

export interface CheckedRequest extends FoundOperation {
  /** `{}` for a request without one. */
  readonly body: Readonly<Record<string, unknown>>;
}

const JSON_FAULT = "An error occurred when deserializing the json body of a request: ";

/** Throws a Refusal that is a violation. */
export function checkRequest(request: HttpRequest): CheckedRequest {
  const found = findOperation(request.method, request.path);
  if (request.method === "GET" && request.body !== undefined)
    throw violation("GET request cannot have a body.");
  if (request.method !== "GET" && request.body === undefined)
    throw violation(`Empty ${request.method} request.`);
  if (found === undefined)
    throw violation(
      `Invalid request method and/or path: ${request.method} ${request.path.replace(/^\/+/, "")}.`,
    );
  const { operation, id } = found;
  if (id !== undefined) checkId(id.value);
  if (operation.body === undefined) return { ...found, body: {} };
  const body = parseJson(request.body ?? "");
  const fault = schemaFault(DEFINITIONS[operation.body], body);
  if (fault !== undefined) throw violation(`${JSON_FAULT}${fault}.`);
  if (!isObject(body)) throw violation(`${JSON_FAULT}no object.`);
  if (id !== undefined && body[id.field] !== id.value)
    throw violation(
      `The id from the path [${id.value}] does not match the id from the body [${String(body[id.field])}]!`,
    );
  return { ...found, body };
}

/** What is wrong with an answer of this stub by its own description: a fault of the stub, never of its caller. */
export function answerFault(found: FoundOperation, answer: Answer): string | undefined {
  if (answer.status >= 400) return schemaFault(DEFINITIONS.Error, answer.body, { at: "the answer" });
  const expected = found.operation.answer;
  if (expected === undefined)
    return answer.status === 204 && answer.body === undefined ? undefined : "it should be an empty 204";
  if (answer.status !== 200) return `it should be a 200, not ${answer.status}`;
  if (expected === "free") return undefined;
  return schemaFault(DEFINITIONS[expected], answer.body, { at: "the answer", nullable: true });
}

function checkId(id: string): void {
  if (id === "") throw violation("The ID cannot be empty.");
  if (!/^[\p{Alphabetic}\p{N}_]+$/u.test(id))
    throw violation("API Resource IDs can only contain alphanumeric characters and underscores.");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw violation(`${JSON_FAULT}${cause instanceof Error ? cause.message : "no JSON"}.`);
  }
}
