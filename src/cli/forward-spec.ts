/** What `forward` is given, as people write it: where to listen, and where to go. */
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";

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
