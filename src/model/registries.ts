/** What the configuration says of registries: mirrors, plain HTTP, and whom their certificates may come from. */
import type { Fault, Kind } from "./config-kinds.ts";
import { isRepository, validateRegistry } from "./image-reference.ts";
import { quote } from "./names.ts";

export interface RegistrySettings {
  /** Asked before the registry itself, in this order: `host[:port][/path]`. */
  readonly mirrors: readonly string[];
  /** True: plain HTTP. False: TLS only. Undefined: TLS, but plain HTTP too where the host is this one. */
  readonly insecure: boolean | undefined;
  /** A file of certificates in PEM, trusted beside the system's. */
  readonly ca: string | undefined;
}

/** By the registry's name, as it stands in references: `docker.io`, `localhost:5000`. */
export type Registries = Readonly<Record<string, RegistrySettings>>;

export const NO_SETTINGS: RegistrySettings = { mirrors: [], insecure: undefined, ca: undefined };

const MAX_MIRRORS = 8;
const EXAMPLE = '{"docker.io":{"mirrors":["mirror.example:5000"]}}';

/** In TOML a table of tables; in a variable the same as JSON, which is also how it is shown. */
export const registriesKind: Kind<Registries> = {
  allowed: `a table of registries, each with mirrors, insecure and ca, such as ${EXAMPLE}`,
  parse: (text) => readRegistries(parseJson(text)),
  fromToml: (value) => readRegistries(typeof value === "string" ? parseJson(value) : value),
  fault: (value) => (isTable(value) && Object.values(value).every(isTable) ? findFault(value) : undefined),
  show: (registries) => JSON.stringify(registries),
};

/** The host and the path before every repository of a mirror. */
export function splitMirror(mirror: string): { readonly registry: string; readonly prefix: string } {
  const slash = mirror.indexOf("/");
  return slash < 0
    ? { registry: mirror, prefix: "" }
    : { registry: mirror.slice(0, slash), prefix: `${mirror.slice(slash + 1)}/` };
}

type Table = Readonly<Record<string, unknown>>;

function readRegistries(value: unknown): { readonly value: Registries } | undefined {
  if (!isTable(value) || findFault(value) !== undefined) return undefined;
  // Every field was checked by its rule.
  const tables = value as Readonly<Record<string, Partial<RegistrySettings>>>;
  return {
    value: Object.fromEntries(
      Object.entries(tables).map(([name, table]) => [name.toLowerCase(), { ...NO_SETTINGS, ...table }]),
    ),
  };
}

const FIELDS: Readonly<
  Record<string, { readonly fits: (value: unknown) => boolean; readonly allowed: string }>
> = {
  mirrors: {
    fits: (value) => Array.isArray(value) && value.length <= MAX_MIRRORS && value.every(isMirror),
    allowed: `a list of at most ${MAX_MIRRORS} texts, each host, host:port or host/path, such as "mirror.example:5000"`,
  },
  insecure: { fits: (value) => typeof value === "boolean", allowed: "true or false" },
  ca: {
    fits: (value) => typeof value === "string" && /^\/[^\0\n]{1,4094}$/u.test(value),
    allowed: "the absolute path of a file of certificates",
  },
};

function findFault(tables: Table): Fault | undefined {
  for (const [name, table] of Object.entries(tables)) {
    if (!isHost(name))
      return { at: [name], what: 'is no registry; write host or host:port, such as "localhost:5000"' };
    if (!isTable(table)) return { at: [name], what: "must be a table with mirrors, insecure or ca" };
    for (const [field, value] of Object.entries(table)) {
      const rule = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
      if (rule === undefined) {
        return {
          at: [name, field],
          what: `is no field of it; the fields are ${Object.keys(FIELDS).join(", ")}`,
        };
      }
      if (!rule.fits(value)) {
        const shown = quote(JSON.stringify(value) ?? typeof value);
        return { at: [name, field], what: `is ${shown}, but it must be ${rule.allowed}` };
      }
    }
  }
  return undefined;
}

function isMirror(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const { registry, prefix } = splitMirror(value);
  return isHost(registry) && (prefix === "" ? !value.includes("/") : isRepository(prefix.slice(0, -1)));
}

function isHost(text: string): boolean {
  try {
    validateRegistry(text);
    return true;
  } catch {
    // What is allowed is said by whoever knows where it stands.
    return false;
  }
}

/** An object that is nothing else: what TOML has for a date is one, too. */
function isTable(value: unknown): value is Table {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is allowed is said by whoever knows which key it was for.
    return undefined;
  }
}
