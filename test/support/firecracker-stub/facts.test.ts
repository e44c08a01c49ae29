/** The stub's facts against Firecracker's own description of its API, where that is at hand. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { YAML } from "bun";
import { DEFINITIONS } from "./definitions.ts";
import { OPERATIONS } from "./operations.ts";
import { isObject, type Schema } from "./schema.ts";

const PATH =
  process.env["FIRECRACKER_API_YAML"] ??
  join(import.meta.dir, "../../../../shared/firecracker/firecracker.yaml");
const description = existsSync(PATH) ? objectOf(YAML.parse(readFileSync(PATH, "utf8"))) : undefined;
if (description === undefined)
  console.warn(`skipped: the stub's facts against firecracker.yaml: FIRECRACKER_API_YAML can name one`);

describe.skipIf(description === undefined)("Firecracker's description", () => {
  test.each(Object.keys(DEFINITIONS))("has %s as the stub has it", (name) => {
    const schema = Object.entries(DEFINITIONS).find(([one]) => one === name)?.[1];
    if (schema === undefined) throw new Error(`there is no ${name}`);
    expect(ours(schema)).toEqual(theirs(at("definitions", name)));
  });

  test.each(OPERATIONS.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    "has %s as the stub has it",
    (_, operation) => {
      const method = at("paths", operation.path, operation.method.toLowerCase());
      const parameters = listOf(method["parameters"]).map(objectOf);
      const body = parameters.find((parameter) => parameter["in"] === "body");
      expect(body === undefined ? undefined : referenceOf(body["schema"])).toBe(operation.body);
      const id = parameters.find((parameter) => parameter["in"] === "path")?.["name"];
      expect(/\{(\w+)\}/.exec(operation.path)?.[1]).toBe(typeof id === "string" ? id : undefined);
      const answers = objectOf(method["responses"]);
      expect("204" in answers).toBe(operation.answer === undefined);
      if (operation.answer === undefined) return;
      const answer = referenceOf(objectOf(answers["200"])["schema"]);
      expect(answer).toBe(operation.answer === "free" ? "FullVmConfiguration" : operation.answer);
    },
  );
});

test("a wrong fact would be seen", () => {
  expect(ours({ type: "integer", maximum: 3 })).not.toEqual(theirs({ type: "integer", maximum: 4 }));
  expect(ours({ type: "object", required: ["a"], properties: { a: { type: "string" } } })).not.toEqual(
    theirs({ type: "object", properties: { a: { type: "string" } } }),
  );
});

/** Both descriptions in one form: no order, no defaults left out. */
interface Shape {
  readonly type: string;
  readonly enum: readonly string[];
  readonly range: readonly [number, number];
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, Shape>>;
  readonly others: Shape | undefined;
  readonly items: Shape | undefined;
}

const NOTHING = {
  enum: [],
  range: [0, Infinity],
  required: [],
  properties: {},
  others: undefined,
  items: undefined,
} as const;

function ours(schema: Schema): Shape {
  switch (schema.type) {
    case "boolean":
      return { ...NOTHING, type: schema.type };
    case "string":
      return { ...NOTHING, type: schema.type, enum: (schema.enum ?? []).toSorted() };
    case "integer":
      return { ...NOTHING, type: schema.type, range: [schema.minimum ?? 0, schema.maximum ?? Infinity] };
    case "array":
      return { ...NOTHING, type: schema.type, items: ours(schema.items) };
    case "object":
      return {
        ...NOTHING,
        type: schema.type,
        required: schema.required.toSorted(),
        properties: mapped(schema.properties, ours),
        others: schema.others === undefined ? undefined : ours(schema.others),
      };
  }
}

function theirs(schema: unknown): Shape {
  const one = objectOf(schema);
  if ("$ref" in one) return theirs(at("definitions", referenceOf(one) ?? ""));
  const others = one["additionalProperties"];
  return {
    type: String(one["type"]),
    enum: listOf(one["enum"]).map(String).toSorted(),
    range: [Number(one["minimum"] ?? 0), Number(one["maximum"] ?? Infinity)],
    required: listOf(one["required"]).map(String).toSorted(),
    properties: mapped(objectOf(one["properties"] ?? {}), theirs),
    others: others === undefined ? undefined : theirs(others),
    items: one["items"] === undefined ? undefined : theirs(one["items"]),
  };
}

function mapped<T>(fields: Readonly<Record<string, T>>, shape: (field: T) => Shape): Record<string, Shape> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, shape(field)]));
}

/** The name behind a `$ref`. */
function referenceOf(schema: unknown): string | undefined {
  const reference = objectOf(schema)["$ref"];
  return typeof reference === "string" ? reference.replace("#/definitions/", "") : undefined;
}

function at(...path: readonly string[]): Readonly<Record<string, unknown>> {
  return path.reduce(
    (value: Readonly<Record<string, unknown>>, name) => objectOf(value[name]),
    description ?? {},
  );
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new Error(`this should be an object: ${JSON.stringify(value)}`);
  return value;
}
