/** Work on many things, a few at a time. */

/** Calls `work` for each item, `width` at a time, and throws what failed with the item it failed for. */
export async function eachAtOnce<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const failures: string[] = [];
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      await work(item).catch((error: unknown) => {
        failures.push(`${JSON.stringify(item)}: ${describe(error)}`);
      });
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (failures.length > 0) throw new Error(failures.join("\n"));
}

/** The first failure comes first; what disposing said after it is a consequence. */
function describe(error: unknown): string {
  if (error instanceof SuppressedError)
    return `${describe(error.suppressed)}; and then ${describe(error.error)}`;
  return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
}
