/**
 * TOML with line numbers. Bun's parser says what is wrong but not where, so the place is found by parsing beginnings
 * of the text.
 */

/** A text that is not TOML. `line` is where the statement that spoils it begins, from 1. */
export class TomlError extends Error {
  override readonly name = "TomlError";
  readonly line: number;

  constructor(message: string, line: number, cause: unknown) {
    super(message, { cause });
    this.line = line;
  }
}

/** A statement longer than this (an array or string over many lines) may be taken for the place of a later one. */
const MAX_STATEMENT_LINES = 64;

/** Parses a document (https://toml.io/en/v1.0.0). Errors: `TomlError`. */
export function parseToml(text: string): Readonly<Record<string, unknown>> {
  try {
    return Bun.TOML.parse(text) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^TOML Parse error: /, "") : String(error);
    throw new TomlError(
      message,
      lineAfter(text, () => true),
      error,
    );
  }
}

/** The line, from 1, of the statement that sets the key (or opens the table) `path`, which the document has. */
export function lineOfKey(text: string, path: readonly string[]): number {
  return lineAfter(text, (document) => valueAt(document, path) === undefined);
}

/** The value at `path` in a parsed document; undefined where there is none. */
export function valueAt(document: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, name) =>
      typeof node === "object" && node !== null && Object.hasOwn(node, name)
        ? (node as Readonly<Record<string, unknown>>)[name]
        : undefined,
    document,
  );
}

/** The line of the first statement after the longest beginning of the text that parses and that `fits`. */
function lineAfter(text: string, fits: (document: unknown) => boolean): number {
  const lines = text.split("\n");
  const fitsUpTo = (count: number): boolean => {
    try {
      return fits(Bun.TOML.parse(lines.slice(0, count).join("\n")));
    } catch {
      // A beginning that ends inside a statement is no TOML.
      return false;
    }
  };
  let good = 0;
  for (let next: number | undefined = 0; next !== undefined; ) {
    good = lastGood(next, lines.length, fitsUpTo);
    // The line after it may only be inside a statement of several lines, which is good when it is whole.
    const from = good;
    next = Array.from({ length: MAX_STATEMENT_LINES }, (_, index) => from + 2 + index).find(
      (count) => count <= lines.length && fitsUpTo(count),
    );
  }
  const blank = /^\s*(?:#.*)?$/;
  while (good < lines.length - 1 && blank.test(lines[good] ?? "")) good += 1;
  return good + 1;
}

/** Halves between `good`, which fits, and `bad`, which does not, until they are neighbours. */
function lastGood(good: number, bad: number, fitsUpTo: (count: number) => boolean): number {
  let [low, high] = [good, bad];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fitsUpTo(middle)) low = middle;
    else high = middle;
  }
  return low;
}
