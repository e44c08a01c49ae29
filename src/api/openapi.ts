/** The OpenAPI 3.1 document, generated from the route table (https://spec.openapis.org/oas/v3.1.0). */
import { z } from "zod";
import { ERROR_STATUS } from "../model/errors.ts";
import type { RouteContract } from "./contract.ts";
import { NOTES_HEADER } from "./notes.ts";
import { type OperationId, PATHS } from "./paths.ts";
import { ROUTES } from "./routes.ts";
import { ErrorEnvelopeSchema, ProgressSchema } from "./schemas/common.ts";
import { ExecClientMessageSchema } from "./schemas/exec.ts";
import { GuestStreamClientMessageSchema } from "./schemas/guest-stream.ts";
import { VmEventSchema } from "./schemas/vms.ts";

type Json = Readonly<Record<string, unknown>>;

/** The document as plain JSON; the same for every call. */
export function createOpenApi(version: string): Json {
  const schemas: Record<string, unknown> = {};
  const paths: Record<string, Record<string, unknown>> = {};
  // The messages of the sockets are no body of any route; the document carries them all the same.
  reference(ExecClientMessageSchema, schemas);
  reference(GuestStreamClientMessageSchema, schemas);
  reference(VmEventSchema, schemas);
  for (const id of Object.keys(PATHS) as OperationId[]) {
    const { method, path } = PATHS[id];
    const methods = paths[path] ?? {};
    methods[method.toLowerCase()] = operation(id, ROUTES[id], schemas);
    paths[path] = methods;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "banger",
      version,
      description: "The API of banger's daemon, HTTP/1.1 on a Unix socket.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: { schemas },
  };
}

function operation(id: OperationId, route: RouteContract, schemas: Record<string, unknown>): Json {
  const { path, kind } = PATHS[id];
  const pathParameters = [...path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  return {
    operationId: id,
    summary: route.summary,
    parameters: [...pathParameters, ...queryParameters(route.query)],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(reference(route.body, schemas)) } }),
    responses: {
      ...success(kind, route, schemas),
      default: {
        description: `An error; the code decides the status: ${Object.entries(ERROR_STATUS)
          .map(([code, status]) => `${code} ${status}`)
          .join(", ")}`,
        content: json(reference(ErrorEnvelopeSchema, schemas)),
      },
    },
  };
}

function success(kind: string, route: RouteContract, schemas: Record<string, unknown>): Json {
  const answer = reference(route.answer, schemas);
  switch (kind) {
    case "socket":
      return { "101": { description: "A WebSocket; see ExecClientMessage" } };
    case "text":
      return { "200": { description: route.summary, content: { "text/plain": { schema: answer } } } };
    case "bytes":
      return {
        "200": {
          description: route.summary,
          ...(route.notes === true ? { headers: NOTES } : {}),
          content: { [route.type ?? "application/x-tar"]: { schema: answer } },
        },
      };
    case "progress":
      return {
        "200": {
          description: "Lines of ProgressLine; the last is the result or an error",
          content: { "application/x-ndjson": { schema: reference(ProgressSchema, schemas) } },
          "x-result": answer,
        },
      };
    default:
      return { "200": { description: route.summary, content: json(answer) } };
  }
}

const NOTES = {
  [NOTES_HEADER]: {
    description: "What is left out, for people: a JSON array of texts, in ASCII. Absent: nothing",
    schema: { type: "string" },
  },
};

function queryParameters(query: z.ZodType | undefined): readonly Json[] {
  if (query === undefined) return [];
  const { properties } = z.toJSONSchema(query, { io: "input" }) as { properties?: Record<string, unknown> };
  return Object.entries(properties ?? {}).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema,
  }));
}

/** A `$ref` for a schema with an id, having put it and its parts under `schemas`; else the schema itself. */
function reference(schema: z.ZodType, schemas: Record<string, unknown>): unknown {
  const known = z.globalRegistry.get(schema);
  const generated = z.toJSONSchema(schema, { io: "input", reused: "inline" }) as Record<string, unknown>;
  const { $defs, $schema: _, ...rest } = generated as { $defs?: Record<string, unknown>; $schema?: unknown };
  for (const [name, part] of Object.entries($defs ?? {})) schemas[name] = withLocalRefs(part);
  if (known?.id === undefined) return withLocalRefs(rest);
  if (!("$ref" in rest)) schemas[known.id] = withLocalRefs(rest);
  return { $ref: `#/components/schemas/${known.id}` };
}

function withLocalRefs(part: unknown): unknown {
  return JSON.parse(JSON.stringify(part).replaceAll("#/$defs/", "#/components/schemas/"));
}

function json(schema: unknown): Json {
  return { "application/json": { schema } };
}
