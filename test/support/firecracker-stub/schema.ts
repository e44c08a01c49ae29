/** The part of JSON schema that Firecracker's API description uses, and a check of a value against it. */

export type Schema =
  | { readonly type: "string"; readonly enum?: readonly string[] }
  | { readonly type: "integer"; readonly minimum?: number; readonly maximum?: number }
  | { readonly type: "boolean" }
  | { readonly type: "array"; readonly items: Schema }
  | ObjectSchema;

export interface ObjectSchema {
  readonly type: "object";
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, Schema>>;
  /** What fields have that are not listed; without it such fields are refused. */
  readonly others?: Schema;
}

/**
 * What is wrong with `value`, in the order of serde's words where it has some; undefined when it fits. `nullable`
 * lets null stand for an absent field, as Firecracker's answers have it (seen with 1.17) and its requests should not.
 */
export function schemaFault(
  schema: Schema,
  value: unknown,
  options: { readonly at?: string; readonly nullable?: boolean } = {},
): string | undefined {
  const { at = "the body", nullable = false } = options;
  switch (schema.type) {
    case "string":
      if (typeof value !== "string") return wrongType(value, "a string", at);
      if (schema.enum === undefined || schema.enum.includes(value)) return undefined;
      return `unknown variant \`${value}\`, expected one of ${quoted(schema.enum)} at ${at}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : wrongType(value, "a boolean", at);
    case "integer":
      return integerFault(schema, value, at);
    case "array":
      if (!Array.isArray(value)) return wrongType(value, "a sequence", at);
      return firstFault(value, (one, index) =>
        schemaFault(schema.items, one, { at: `${at}[${index}]`, nullable }),
      );
    case "object":
      return objectFault(schema, value, { at, nullable });
  }
}

/** A JSON object, as opposed to null, a list or something simple. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function integerFault(
  schema: { readonly minimum?: number; readonly maximum?: number },
  value: unknown,
  at: string,
): string | undefined {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) return wrongType(value, "an integer", at);
  // Every integer of the API is unsigned in the program.
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
  if (value >= minimum && value <= maximum) return undefined;
  return `invalid value: integer \`${value}\`, expected ${minimum} to ${maximum} at ${at}`;
}

function objectFault(
  schema: ObjectSchema,
  value: unknown,
  { at, nullable }: { readonly at: string; readonly nullable: boolean },
): string | undefined {
  if (!isObject(value)) return wrongType(value, "an object", at);
  const unknownField = firstFault(Object.entries(value), ([name, field]) => {
    const fieldSchema = Object.hasOwn(schema.properties, name) ? schema.properties[name] : schema.others;
    if (fieldSchema === undefined)
      return `unknown field \`${name}\`, expected one of ${quoted(Object.keys(schema.properties))} at ${at}`;
    if (field === null && nullable) return undefined;
    return schemaFault(fieldSchema, field, { at: `${at}.${name}`, nullable });
  });
  if (unknownField !== undefined) return unknownField;
  return firstFault(schema.required, (name) =>
    Object.hasOwn(value, name) ? undefined : `missing field \`${name}\` at ${at}`,
  );
}

function wrongType(value: unknown, expected: string, at: string): string {
  return `invalid type: ${JSON.stringify(value)?.slice(0, 80)}, expected ${expected} at ${at}`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}

function firstFault<T>(
  values: readonly T[],
  fault: (value: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, value] of values.entries()) {
    const found = fault(value, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
