/** The two operands of `cp`, and those of `forward`, as people write them. */
import { BangerError } from "../model/errors.ts";
import { quote, validateVmRef } from "../model/names.ts";

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

export interface ForwardSpec {
  /** Where is listened. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where is connected to. */
  readonly target: { readonly host: string; readonly port: number };
}

/** `[ADDRESS:]PORT:[ADDRESS:]PORT`, or one port for both. Errors: `invalid_argument`. */
export function parseForward(text: string): ForwardSpec {
  const parts =
    /^(?:(?:(\[[^\]]+\]|[^:[\]-][^:[\]]*):)?(\d+):)?(?:(\[[^\]]+\]|[^:[\]\d-][^:[\]]*|\d+\.[^:[\]]+):)?(\d+)$/.exec(
      text,
    );
  const target = Number(parts?.[4]);
  const listen = parts?.[2] === undefined ? target : Number(parts[2]);
  if (parts === null || !(target >= 1 && target <= 65_535) || !(listen <= 65_535)) {
    throw new BangerError("invalid_argument", `${quote(text)} is no pair of ports`, {
      cure: "write where to listen and where to go, such as 8080:80 or 127.0.0.1:8080:80",
      details: { field: "ports" },
    });
  }
  const host = (given: string | undefined): string => given?.replaceAll(/[[\]]/g, "") ?? "127.0.0.1";
  return { listen: { host: host(parts[1]), port: listen }, target: { host: host(parts[3]), port: target } };
}
