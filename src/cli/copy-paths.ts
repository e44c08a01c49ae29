/** The two operands of `cp`, as people write them. */
import { BangerError } from "../model/errors.ts";
import { validateVmRef } from "../model/names.ts";

export type CopyPath =
  | { readonly kind: "guest"; readonly vm: string; readonly path: string }
  | { readonly kind: "host"; readonly path: string }
  | { readonly kind: "pipe" };

/**
 * `VM:PATH` is a guest's, `-` stdin or stdout, everything else this host's; so is a path with a slash before its first colon. Paths of
 * guests are taken from `/`. Errors: `invalid_argument`.
 */
export function parseCopyPath(text: string): CopyPath {
  if (text === "-") return { kind: "pipe" };
  const colon = text.indexOf(":");
  if (colon < 0 || text.slice(0, colon).includes("/")) {
    if (text === "")
      throw new BangerError("invalid_argument", "a path is empty", { details: { field: "path" } });
    return { kind: "host", path: text };
  }
  const path = text.slice(colon + 1);
  return {
    kind: "guest",
    vm: validateVmRef(text.slice(0, colon)),
    path: path.startsWith("/") ? path : `/${path}`,
  };
}
