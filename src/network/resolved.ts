/** systemd-resolved asks banger for names of guests: told on banger's own link, and so forgotten with it (resolvectl(1)). */
import { findProgram, runProgram } from "../lib/run-program.ts";
import { ZONE } from "./dns/resolver.ts";

/**
 * Does nothing where the program is not there. Errors: those of `runProgram`, for instance because systemd-resolved does not run.
 * `program` is for tests.
 */
export async function tellResolved(
  { link, port }: { readonly link: string; readonly port: number },
  program: string | undefined = findProgram("resolvectl"),
): Promise<void> {
  if (program === undefined) return;
  await runProgram([program, "dns", link, `127.0.0.1:${port}`]);
  await runProgram([program, "domain", link, `~${ZONE}`]);
}
