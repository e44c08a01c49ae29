/** Flags that do not go together: which of some was given. */

/** The first name whose value is there. */
export function firstGiven(flags: Readonly<Record<string, unknown>>): string | undefined {
  return Object.keys(flags).find((name) => flags[name] !== undefined);
}
