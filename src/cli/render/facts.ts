/** Facts about one thing: a name and its value, a line each. */
import { printableLine } from "./printable.ts";

export type Fact = readonly [name: string, value: string | readonly string[] | undefined];

const NAME_WIDTH = 12;

/** A value that is a list has a line for each; what is undefined or an empty list is left out. */
export function renderFacts(facts: readonly Fact[]): string {
  return facts
    .flatMap(([name, value]) =>
      (typeof value === "string" ? [value] : (value ?? [])).map(
        (line, at) => `${(at === 0 ? name : "").padEnd(NAME_WIDTH)}${printableLine(line)}`,
      ),
    )
    .join("\n");
}
