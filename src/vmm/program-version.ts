/** The version that a hypervisor program says it is, asked once and remembered while the program stays the same. */
import { runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import { programKey } from "./program-identity.ts";
import type { VerdictCache } from "./verdict-cache.ts";

export interface VersionQuestion {
  /** Absolute; it exists. */
  readonly program: string;
  readonly cache: VerdictCache;
  /** What it should be, such as `QEMU`. */
  readonly name: string;
  /** Its first group is the version; matched against what `--version` prints. */
  readonly pattern: RegExp;
  /** How to get a good one. */
  readonly cure: string;
}

/** Errors: `unavailable` (it fails, or is something else). */
export async function findVersion(question: VersionQuestion): Promise<string> {
  const { program, cache, name, cure } = question;
  // By its name, too: what was found to be a jailer is still no Firecracker.
  const key = `version|${name}|${programKey(program)}`;
  const known = cache.get(key);
  if (typeof known === "string") return known;
  const { stdout } = await runProgram([program, "--version"], {
    failure: (end) =>
      new BangerError("unavailable", `${program} --version failed: ${end.stderrTail}`, { cure }),
  });
  const version = question.pattern.exec(new TextDecoder().decode(stdout))?.[1];
  if (version === undefined) throw new BangerError("unavailable", `${program} is not ${name}`, { cure });
  cache.set(key, version);
  return version;
}
