/** The configuration of this host: `BANGER_…` variable, then `config.toml`, then a default that may look at the host. */
import { nearest } from "../lib/nearest.ts";
import { lineOfKey, parseToml, TomlError, valueAt } from "../lib/toml.ts";
import type { Config, HostSize } from "../model/config.ts";
import { CONFIG_PROPERTIES, defaultConfig, keyOf, readVariable } from "../model/config-lookup.ts";
import { BangerError } from "../model/errors.ts";
import { expandHome } from "../model/file-sync.ts";
import { quote } from "../model/names.ts";
import { type ConfigFile, readConfigFile } from "./config-file.ts";

/** Where a value came from. */
export type Origin = "variable" | "file" | "default";

export interface LoadedConfig {
  readonly values: Config;
  readonly origins: Readonly<Record<keyof Config, Origin>>;
  readonly path: string;
  /** SHA-256 of the file; undefined when there was none. */
  readonly hash: string | undefined;
}

export interface ConfigInput {
  /** The file; it need not exist. */
  readonly path: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly host: HostSize;
}

/**
 * Loads it. The file is checked whole: a bad value in it is refused even where a variable goes before it.
 * Errors: `invalid_argument`, with key, value, place and cure.
 */
export function loadConfig({ path, env, host }: ConfigInput): LoadedConfig {
  const file = readConfigFile(path);
  const document = file === undefined ? {} : parseFile(file);
  if (file !== undefined) refuseUnknown(file, document, []);
  const defaults = defaultConfig(host);
  const found = CONFIG_PROPERTIES.map((property) => {
    const fromFile = file === undefined ? undefined : readFromFile(property, { file, document });
    const fromVariable = readVariable(property, env);
    return {
      property,
      value: (fromVariable ?? fromFile ?? { value: defaults[property] }).value,
      origin: fromVariable !== undefined ? "variable" : fromFile !== undefined ? "file" : "default",
    };
  });
  // Both objects have every property of the table, each read by the rule of its own type.
  const values = Object.fromEntries(
    found.map(({ property, value }) => [property, value]),
  ) as unknown as Config;
  return {
    values: { ...values, fileSync: expandHome(values.fileSync, env["HOME"]) },
    origins: Object.fromEntries(
      found.map(({ property, origin }) => [property, origin]),
    ) as LoadedConfig["origins"],
    path,
    hash: file?.hash,
  };
}

function parseFile(file: ConfigFile): Readonly<Record<string, unknown>> {
  try {
    return parseToml(file.text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new BangerError(
      "invalid_argument",
      `${file.path}, line ${error.line}, is not TOML: ${error.message}`,
      {
        cure: `correct line ${error.line}; the format is described at https://toml.io`,
        details: { file: file.path, line: error.line },
        cause: error,
      },
    );
  }
}

function readFromFile<P extends keyof Config>(
  property: P,
  { file, document }: { file: ConfigFile; document: unknown },
): { readonly value: Config[P] } | undefined {
  const { path, kind } = keyOf(property);
  const given = valueAt(document, path.split("."));
  if (given === undefined) return undefined;
  const read = kind.fromToml(given);
  if (read !== undefined) return read;
  const fault = kind.fault?.(given);
  if (fault !== undefined) {
    const part = fault.at.map((name) => (/^\d+$/.test(name) ? `[${name}]` : `.${showPath([name])}`)).join("");
    throw refuse(file, [...path.split("."), ...fault.at], {
      what: `${path}${part} ${fault.what}`,
      cure: "correct the line, or remove the entry",
    });
  }
  throw refuse(file, path.split("."), {
    what: `${path} is ${describe(given)}, but it must be ${kind.allowed}`,
    cure: "correct the line, or remove it",
  });
}

/** Walks the tables of the document. Errors: `invalid_argument` for the first name that no key has. */
function refuseUnknown(
  file: ConfigFile,
  table: Readonly<Record<string, unknown>>,
  above: readonly string[],
): void {
  const keys = CONFIG_PROPERTIES.map((property) => keyOf(property).path);
  for (const [name, value] of Object.entries(table)) {
    const segments = [...above, name];
    const path = segments.join(".");
    // A name with a dot in it is one name in quotes, and no key has such a name.
    const known = name.includes(".") ? [] : keys.filter((key) => key === path || key.startsWith(`${path}.`));
    if (known.includes(path)) continue;
    if (known.length === 0) throw unknownKey(file, segments, keys);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw refuse(file, segments, {
        what: `${path} is ${describe(value)}, but it must be a table`,
        cure: `write [${path}] on a line of its own, and the keys below it`,
      });
    }
    refuseUnknown(file, value as Readonly<Record<string, unknown>>, segments);
  }
}

function unknownKey(file: ConfigFile, segments: readonly string[], keys: readonly string[]): BangerError {
  const tables = keys.flatMap((key) => (key.includes(".") ? [key.slice(0, key.lastIndexOf("."))] : []));
  const meant = nearest(segments.join("."), [...keys, ...new Set(tables)]);
  const what = `there is no configuration key ${showPath(segments)}`;
  return refuse(
    file,
    segments,
    meant === undefined
      ? { what, cure: `remove it; the keys are ${keys.join(", ")}` }
      : { what: `${what}; did you mean ${meant}?`, cure: `write ${meant}, or remove it` },
  );
}

/** As TOML writes it: a name that is not bare stands in quotes. */
function showPath(segments: readonly string[]): string {
  return segments.map((name) => (/^[A-Za-z0-9_-]{1,80}$/.test(name) ? name : quote(name))).join(".");
}

function refuse(
  file: ConfigFile,
  segments: readonly string[],
  { what, cure }: { what: string; cure: string },
): BangerError {
  const line = lineOfKey(file.text, segments);
  return new BangerError("invalid_argument", `${file.path}, line ${line}: ${what}`, {
    cure,
    details: { key: segments.join("."), file: file.path, line },
  });
}

/** A value of the file, as a person recognises it. */
function describe(value: unknown): string {
  if (typeof value === "string") return quote(value);
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
