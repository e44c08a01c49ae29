/** Files of the host that every start copies into the guest, as the configuration names them. */
import type { Fault, Kind } from "./config-kinds.ts";
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

export interface FileSyncEntry {
  /** Absolute path on the host; before it was expanded it may begin with `~/`. */
  readonly host: string;
  /** Absolute path in the guest, below `/root`. */
  readonly guest: string;
  /** Permissions of the file in the guest, at most 0o777. */
  readonly mode: number;
}

/** Where files go in the guest: the home of its root. */
const GUEST_ROOT = "/root/";
/** Bytes of a path (PATH_MAX without its NUL). */
const MAX_PATH = 4095;
const DEFAULT_MODE = "0600";

/** In TOML an array of tables; in a variable the same as JSON, which is also how it is shown. */
export const fileSyncKind: Kind<readonly FileSyncEntry[]> = {
  allowed:
    'a list of tables with host, guest and mode, such as {"host":"~/.gitconfig","guest":"/root/.gitconfig"}',
  parse: (text) => readEntries(parseJson(text)),
  fromToml: (value) => readEntries(typeof value === "string" ? parseJson(value) : value),
  fault: (value) => (isList(value) ? findFault(value) : undefined),
  show: (entries) => JSON.stringify(entries.map((entry) => ({ ...entry, mode: showMode(entry.mode) }))),
};

/** The entries with `home` for `~`. Errors: `invalid_argument` for one that needs a home when there is none. */
export function expandHome(
  entries: readonly FileSyncEntry[],
  home: string | undefined,
): readonly FileSyncEntry[] {
  return entries.map((entry) => {
    if (!entry.host.startsWith("~/")) return entry;
    if (home?.startsWith("/") === true)
      return { ...entry, host: home.replace(/\/+$/, "") + entry.host.slice(1) };
    throw new BangerError(
      "invalid_argument",
      `file_sync has ${quote(entry.host)}, but HOME is no absolute path`,
      {
        cure: "set HOME, or write the path without ~",
        details: { key: "file_sync" },
      },
    );
  });
}

type Table = Readonly<Record<string, unknown>>;

function readEntries(value: unknown): { readonly value: readonly FileSyncEntry[] } | undefined {
  if (!isList(value) || findFault(value) !== undefined) return undefined;
  // Every field was checked by its rule.
  const entries = value as readonly { host: string; guest: string; mode?: string }[];
  return {
    value: entries.map(({ host, guest, mode = DEFAULT_MODE }) => ({
      host,
      guest,
      mode: Number.parseInt(mode, 8),
    })),
  };
}

function isList(value: unknown): value is readonly Table[] {
  return (
    Array.isArray(value) &&
    value.every((entry: unknown) => typeof entry === "object" && entry !== null && !Array.isArray(entry))
  );
}

interface Rule {
  readonly fits: (text: string) => boolean;
  readonly allowed: string;
  readonly optional?: true;
}

/** The fields of a table; there are no others. */
const FIELDS: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [
    "host",
    {
      fits: (path) => isPlainPath(path.startsWith("~/") ? path.slice(1) : path),
      allowed: 'an absolute path on the host or one that begins with "~/", without ".."',
    },
  ],
  [
    "guest",
    {
      fits: (path) => isPlainPath(path) && path.startsWith(GUEST_ROOT),
      allowed: 'an absolute path in the guest, below /root, without ".."',
    },
  ],
  [
    "mode",
    {
      fits: (text) => /^0?[0-7]{3}$/.test(text),
      allowed: 'permissions as text from "0000" to "0777", such as "0600"',
      optional: true,
    },
  ],
]);

/** The name of a file, from the root on, each part of it a name. */
function isPlainPath(path: string): boolean {
  const printable = path.length <= MAX_PATH && !/\p{Cc}/u.test(path);
  return (
    printable &&
    path.startsWith("/") &&
    !path
      .slice(1)
      .split("/")
      .some((part) => ["", ".", ".."].includes(part))
  );
}

function findFault(entries: readonly Table[]): Fault | undefined {
  const targets = new Map<unknown, number>();
  for (const [index, entry] of entries.entries()) {
    const fault = findFieldFault(entry);
    if (fault !== undefined) return { at: [String(index), ...fault.at], what: fault.what };
    const earlier = targets.get(entry["guest"]);
    if (earlier !== undefined) {
      const what = `is ${quote(String(entry["guest"]))}, but file_sync[${earlier}] is written there already`;
      return { at: [String(index), "guest"], what };
    }
    targets.set(entry["guest"], index);
  }
  return undefined;
}

function findFieldFault(entry: Table): Fault | undefined {
  const unknown = Object.keys(entry).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) {
    return { at: [unknown], what: `is no field of it; the fields are ${[...FIELDS.keys()].join(", ")}` };
  }
  for (const [name, { fits, allowed, optional }] of FIELDS) {
    const value = Object.hasOwn(entry, name) ? entry[name] : undefined;
    if (value === undefined && optional === true) continue;
    if (value === undefined) return { at: [], what: `lacks ${name}, ${allowed}` };
    if (typeof value === "string" && fits(value)) continue;
    const shown = typeof value === "string" ? quote(value) : describeKind(value);
    return { at: [name], what: `is ${shown}, but it must be ${allowed}` };
  }
  return undefined;
}

function describeKind(value: unknown): string {
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "no text";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is allowed is said by whoever knows which key it was for.
    return undefined;
  }
}

function showMode(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
