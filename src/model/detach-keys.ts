/** The keys that leave a command running, as Docker writes them. Pure. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";
/** What stands in the configuration for no keys, as the empty text does in a flag. */
const NO_KEYS = "none";
/** More are no help to anybody. */
const MAX_KEYS = 16;

/** Letters and `ctrl-X`, with commas between; empty or `none` for no keys. Errors: `invalid_argument`. */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === "" || text === NO_KEYS) return new Uint8Array(0);
  const keys = text.split(",");
  if (keys.length > MAX_KEYS) throw wrong(`${keys.length} keys are too many`);
  return Uint8Array.from(keys, (key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (/^[ -~]$/.test(key)) return key.charCodeAt(0);
    throw wrong(`${quote(key)} is no key`);
  });
}

/** The text, when it is one of keys. Errors: those of `parseDetachKeys`. */
export function validateDetachKeys(text: string): string {
  parseDetachKeys(text);
  return text;
}

function wrong(what: string): BangerError {
  return new BangerError("invalid_argument", `--detach-keys: ${what}`, {
    cure: `write letters and ctrl-LETTER with commas between, such as ${DEFAULT_DETACH_KEYS}`,
    details: { field: "detach-keys" },
  });
}
