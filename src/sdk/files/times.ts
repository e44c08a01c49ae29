/** Times as the runtimes take them. */

/**
 * A time for utimes(2): seconds, of which the runtimes cut off what is below a microsecond. The middle of the microsecond is meant, for a
 * double often lies just below its beginning, and the file would be a microsecond older than it was.
 */
export function utimeOf({
  seconds,
  nanoseconds,
}: {
  readonly seconds: number;
  readonly nanoseconds: number;
}): number {
  return seconds + (Math.floor(nanoseconds / 1000) + 0.5) / 1e6;
}
