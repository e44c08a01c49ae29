/** `config.toml` as bytes: there or not, whole, of a bounded size, and text. */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { BangerError } from "../model/errors.ts";

/** Far more than a person writes. */
export const MAX_CONFIG_BYTES: number = 64 * 1024;

export interface ConfigFile {
  readonly path: string;
  readonly text: string;
  /** SHA-256 of what it holds, hex. */
  readonly hash: string;
}

/**
 * Reads it; undefined when there is none. Errors: `invalid_argument` for one that cannot be read, is larger than 64 KiB, is
 * something else than a file, or is not UTF-8.
 */
export function readConfigFile(path: string): ConfigFile | undefined {
  const bytes = readBounded(path);
  if (bytes === undefined) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { path, text, hash: createHash("sha256").update(bytes).digest("hex") };
  } catch (error) {
    throw bad(path, "is not UTF-8 text", { cure: `convert it, with: iconv -t UTF-8 ${path}`, cause: error });
  }
}

function readBounded(path: string): Buffer | undefined {
  let file: number;
  try {
    // A pipe in its place would be waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw bad(path, `cannot be read: ${message}`, {
      cure: `see what it is with: ls -l ${path}`,
      cause: error,
    });
  }
  try {
    const { size } = fstatSync(file);
    if (!fstatSync(file).isFile())
      throw bad(path, "is not a file", { cure: "put a file in its place, or nothing" });
    if (size > MAX_CONFIG_BYTES) {
      throw bad(path, `has ${size} bytes, more than the ${MAX_CONFIG_BYTES} that a configuration may have`, {
        cure: "remove what is not configuration from it",
      });
    }
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function bad(path: string, what: string, extras: { cure: string; cause?: unknown }): BangerError {
  return new BangerError("invalid_argument", `the configuration ${path} ${what}`, {
    ...extras,
    details: { file: path },
  });
}
