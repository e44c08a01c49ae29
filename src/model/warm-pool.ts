/** What the configuration says of the warm pool: of which image how many machines are kept ready. */
import type { Kind } from "./config-kinds.ts";
import { validateImageName } from "./image-reference.ts";
import { quote } from "./names.ts";

/** By the image's name. */
export type WarmPoolSizes = Readonly<Record<string, number>>;

const MOST_IMAGES = 32;
const MOST_OF_ONE = 64;

/** In TOML a table of whole numbers; in a variable the same as JSON, which is also how it is shown. */
export const warmPoolKind: Kind<WarmPoolSizes> = {
  allowed: `a table of at most ${MOST_IMAGES} images, each with a number from 1 to ${MOST_OF_ONE}, such as {"debian":2}`,
  parse: (text) => readSizes(parseJson(text)),
  fromToml: (value) => readSizes(typeof value === "string" ? parseJson(value) : value),
  fault(value) {
    if (!isTable(value) || !Object.values(value).every((size) => typeof size === "number")) return undefined;
    const [name, size] = Object.entries(value).find((entry) => !fits(entry)) ?? [];
    if (name === undefined) return undefined;
    const what = isImage(name)
      ? `is ${quote(JSON.stringify(size) ?? typeof size)}, but it must be a whole number from 1 to ${MOST_OF_ONE}`
      : "is no name of an image";
    return { at: [name], what };
  },
  show: (sizes) => JSON.stringify(sizes),
};

function readSizes(value: unknown): { readonly value: WarmPoolSizes } | undefined {
  if (!isTable(value)) return undefined;
  const entries = Object.entries(value).filter(fits);
  const whole = entries.length === Object.keys(value).length && entries.length <= MOST_IMAGES;
  return whole ? { value: Object.fromEntries(entries) } : undefined;
}

function fits(entry: [string, unknown]): entry is [string, number] {
  const [name, size] = entry;
  return (
    isImage(name) && typeof size === "number" && Number.isInteger(size) && size >= 1 && size <= MOST_OF_ONE
  );
}

function isImage(name: string): boolean {
  try {
    return validateImageName(name) === name;
  } catch {
    // What is allowed is said by whoever knows where it stands.
    return false;
  }
}

/** An object that is nothing else: what TOML has for a date is one, too. */
function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is allowed is said by whoever knows which key it was for.
    return undefined;
  }
}
