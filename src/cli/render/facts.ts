/** Facts about one thing: a name and a value a line; what is undefined is left out. */

export function renderFacts(facts: readonly (readonly [string, string | undefined])[]): string {
  return facts
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(10)}  ${value ?? ""}`)
    .join("\n");
}
