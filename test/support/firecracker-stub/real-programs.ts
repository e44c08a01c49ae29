/** The real `firecracker` and `jailer`, for tests that need them. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { findProgram } from "../../../src/lib/run-program.ts";

export interface RealPrograms {
  readonly bin: string;
  /** Undefined when there is none beside `bin`. */
  readonly jailerBin: string | undefined;
}

/**
 * Where they are: `FIRECRACKER_BIN`, or what is on PATH. Undefined, with one line that says so, when there is none;
 * `BANGER_REQUIRE=firecracker` makes that an error.
 */
export function findRealPrograms(what: string): RealPrograms | undefined {
  const given = process.env["FIRECRACKER_BIN"];
  const bin = given ?? findProgram("firecracker");
  if (bin !== undefined && existsSync(bin)) {
    const jailer = join(dirname(bin), "jailer");
    return { bin, jailerBin: existsSync(jailer) ? jailer : undefined };
  }
  const why = given === undefined ? "no firecracker is on PATH" : `FIRECRACKER_BIN names no file (${given})`;
  const required = (process.env["BANGER_REQUIRE"] ?? "").split(",").includes("firecracker");
  if (required || given !== undefined) throw new Error(`${what} cannot be tested: ${why}`);
  console.warn(`skipped: ${what}: ${why}; FIRECRACKER_BIN can name one`);
  return undefined;
}
