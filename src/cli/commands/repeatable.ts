/** Flags that may be given more than once. */

/** Gathers their values, in order. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
