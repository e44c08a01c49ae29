/** Several VMs (or images) in one command: side by side, first-seen order, one bad reference does not stop the others. */
import { BangerError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { renderError } from "./render/error.ts";

/**
 * As `forEachRef`, of things that are shown: one after the other, or with `json` one document, which is the thing itself where one is
 * named, and a list of those that were found where several are.
 */
export async function showEachRef<T>(
  ctx: CliContext,
  refs: readonly string[],
  {
    json,
    find,
    render,
  }: {
    readonly json: boolean;
    readonly find: (ref: string) => Promise<T>;
    readonly render: (found: T) => string;
  },
): Promise<void> {
  if (!json) return await forEachRef(ctx, refs, async (ref) => render(await find(ref)));
  const distinct = [...new Set(refs)];
  const found = new Map<string, T>();
  await forEachRef(ctx, distinct, async (ref) => {
    found.set(ref, await find(ref));
    return "";
  });
  const inOrder = distinct.flatMap((ref) => found.get(ref) ?? []);
  if (distinct.length > 1) return ctx.printJson(inOrder);
  for (const one of inOrder) ctx.printJson(one);
}

/** Runs `work` for each distinct reference; prints what it returns, and each error; the exit code is 1 when one failed. */
export async function forEachRef(
  ctx: CliContext,
  refs: readonly string[],
  work: (ref: string) => Promise<string>,
): Promise<void> {
  const distinct = [...new Set(refs)];
  const outcomes = await Promise.allSettled(distinct.map(async (ref) => await work(ref)));
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") {
      if (outcome.value !== "") ctx.print(outcome.value);
      continue;
    }
    const error = BangerError.from(outcome.reason);
    ctx.say(renderError(error));
    ctx.exitCode = Math.max(ctx.exitCode, exitCodeOf(error));
  }
}
