/** The table of keys at work: names and values of the environment, defaults, and how a value is shown. */
import type { Config, HostSize } from "./config.ts";
import { CONFIG_KEYS, type ConfigKey } from "./config-keys.ts";
import type { ConfigScalar } from "./config-kinds.ts";
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

export const CONFIG_PROPERTIES: readonly (keyof Config)[] = Object.keys(CONFIG_KEYS) as (keyof Config)[];

/** The environment variable of a key: `vm_defaults.memory` is `BANGER_VM_DEFAULTS_MEMORY`. */
export function variableOf(path: string): string {
  return `BANGER_${path.replaceAll(".", "_").toUpperCase()}`;
}

/**
 * What the environment says of a key; undefined when it says nothing. An empty variable says nothing.
 * Errors: `invalid_argument`, naming variable, value and what is allowed.
 */
export function readVariable<P extends keyof Config>(
  property: P,
  env: Readonly<Record<string, string | undefined>>,
): { readonly value: Config[P] } | undefined {
  const { path, kind } = keyOf(property);
  const name = variableOf(path);
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  const read = kind.parse(text);
  if (read !== undefined) return read;
  throw new BangerError(
    "invalid_argument",
    `${name} is ${quote(text)}, but ${path} must be ${kind.allowed}`,
    {
      cure: `change it, or remove it with: unset ${name}`,
      details: { key: path, variable: name },
    },
  );
}

/** The value of a key as it would be written in `config.toml`. */
export function showValue<P extends keyof Config>(property: P, values: Pick<Config, P>): ConfigScalar {
  return keyOf(property).kind.show(values[property]);
}

/** What a host has that nobody configured. */
export function defaultConfig(host: HostSize): Config {
  // The object has every property of the table, each made by the rule of its own type.
  return Object.fromEntries(
    CONFIG_PROPERTIES.map((property) => [property, keyOf(property).byDefault(host)]),
  ) as unknown as Config;
}

/** The rule of a key, with its own type. */
export function keyOf<P extends keyof Config>(property: P): ConfigKey<Config[P]> {
  return CONFIG_KEYS[property];
}
