/** What the configuration adds to the catalog of images: Debian with packages, or a name for an image of a registry. */
import type { Fault, Kind } from "./config-kinds.ts";
import { parseImageReference } from "./image-reference.ts";
import { quote } from "./names.ts";

export interface CatalogTable {
  readonly description?: string | undefined;
  /** An image of a registry; then there is nothing else but the description. */
  readonly reference?: string | undefined;
  /** A release of Debian by its code name. */
  readonly suite?: string | undefined;
  /** Beside those of the small base system. */
  readonly packages?: readonly string[] | undefined;
  /** What the image runs, such as an init. */
  readonly command?: readonly string[] | undefined;
}

/** By the name under which the image is asked for. */
export type CatalogSettings = Readonly<Record<string, CatalogTable>>;

const MAX_ENTRIES = 256;
const MAX_PACKAGES = 512;
const MAX_WORDS = 64;
const EXAMPLE = '{"web":{"packages":["nginx"]}}';

/** In TOML a table of tables; in a variable the same as JSON, which is also how it is shown. */
export const catalogKind: Kind<CatalogSettings> = {
  allowed: `a table of images, each with suite, packages and command, or with reference, such as ${EXAMPLE}`,
  parse: (text) => readCatalog(parseJson(text)),
  fromToml: (value) => readCatalog(typeof value === "string" ? parseJson(value) : value),
  fault: (value) => (isTable(value) && Object.values(value).every(isTable) ? findFault(value) : undefined),
  show: (catalog) => JSON.stringify(catalog),
};

type Table = Readonly<Record<string, unknown>>;

function readCatalog(value: unknown): { readonly value: CatalogSettings } | undefined {
  if (!isTable(value) || findFault(value) !== undefined) return undefined;
  // Every field was checked by its rule.
  return { value: value as CatalogSettings };
}

interface Rule {
  readonly fits: (value: unknown) => boolean;
  readonly allowed: string;
}

const FIELDS: Readonly<Record<string, Rule>> = {
  description: {
    fits: (value) => typeof value === "string" && /^[^\0\n]{1,200}$/u.test(value),
    allowed: "one line of at most 200 characters",
  },
  reference: { fits: isReference, allowed: 'an image of a registry, such as "ghcr.io/some/thing:1.2"' },
  suite: {
    fits: (value) => typeof value === "string" && /^[a-z][a-z0-9-]{0,31}$/u.test(value),
    allowed: 'a release of Debian, such as "bookworm"',
  },
  packages: {
    // Debian Policy 5.6.7.
    fits: (value) => isList(value, MAX_PACKAGES, /^[a-z0-9][a-z0-9+.-]{1,99}$/u),
    allowed: `a list of at most ${MAX_PACKAGES} names of Debian packages`,
  },
  command: {
    fits: (value) => isList(value, MAX_WORDS, /^[^\0]{1,4096}$/u) && (value as unknown[]).length > 0,
    allowed: 'a list of words, such as ["/sbin/init"]',
  },
};

function findFault(tables: Table): Fault | undefined {
  if (Object.keys(tables).length > MAX_ENTRIES)
    return { at: [], what: `has more than ${MAX_ENTRIES} entries` };
  for (const [name, table] of Object.entries(tables)) {
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u.test(name))
      return { at: [name], what: "is no name; write 1 to 63 of a-z, 0-9 and '-'" };
    if (!isTable(table)) return { at: [name], what: "must be a table with packages or reference" };
    for (const [field, value] of Object.entries(table)) {
      const rule = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
      if (rule === undefined) {
        const known = Object.keys(FIELDS).join(", ");
        return { at: [name, field], what: `is no field of it; the fields are ${known}` };
      }
      if (rule.fits(value)) continue;
      const shown = quote(JSON.stringify(value) ?? typeof value);
      return { at: [name, field], what: `is ${shown}, but it must be ${rule.allowed}` };
    }
    const other = ["suite", "packages", "command"].find((field) => field in table);
    if ("reference" in table && other !== undefined)
      return { at: [name, other], what: "goes with no reference: that image says it itself" };
  }
  return undefined;
}

function isReference(value: unknown): boolean {
  if (typeof value !== "string") return false;
  try {
    parseImageReference(value);
    return true;
  } catch {
    // What is wrong with it, the caller says with what is allowed.
    return false;
  }
}

function isList(value: unknown, max: number, item: RegExp): boolean {
  return (
    Array.isArray(value) &&
    value.length <= max &&
    value.every((one) => typeof one === "string" && item.test(one))
  );
}

function isTable(value: unknown): value is Table {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // It is no table, which the caller says.
  }
}
