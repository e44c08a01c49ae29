/** The two ends of a copy, looked at: what is there, and where a path of the guest really leads. */
import { type BigIntStats, lstatSync, statSync } from "node:fs";
import { BangerError } from "../../model/errors.ts";
import type { GuestFileFacts } from "../../model/guest-stream.ts";
import type { GuestAccess } from "./access.ts";
import { type CopyPlan, type CopySource, planCopy, type Seen } from "./rules.ts";

/** A file of this host; undefined when it is not there. */
export function lookAtHost(
  path: string,
  follow: boolean,
): { readonly seen: Seen; readonly status: BigIntStats } | undefined {
  const status = (follow ? statSync : lstatSync)(path, { bigint: true, throwIfNoEntry: false });
  if (status === undefined) return undefined;
  const seen = status.isDirectory() ? "directory" : status.isFile() ? "file" : "other";
  return { seen, status };
}

export function seenInGuest(facts: GuestFileFacts): Seen {
  return facts.type === "directory" || facts.type === "file" ? facts.type : "other";
}

/** Where a copy goes in the guest: a directory that is there, and a name. Errors: those of `planCopy`, `not_found`. */
export async function planIntoGuest(
  files: GuestAccess,
  {
    source,
    path,
    signal,
  }: { readonly source: CopySource; readonly path: string; readonly signal: AbortSignal | undefined },
): Promise<CopyPlan> {
  const target = await files.statIfThere(path, { follow: true, signal });
  const seen = target === undefined ? undefined : seenInGuest(target);
  const slash = path.endsWith("/") && seen !== "directory" ? "/" : "";
  // A link that leads to a file leads the copy there, as everywhere else.
  const plan = planCopy(source, { path: (target?.path ?? path).replace(/(?<=.)\/+$/, "") + slash, seen });
  if (plan.into) return plan;
  const above = await files.statIfThere(plan.directory, { follow: true, signal });
  if (above?.type === "directory") return { ...plan, directory: above.path ?? plan.directory };
  throw new BangerError("not_found", `there is no directory ${plan.directory} in the guest`, {
    cure: `make it with: banger exec VM -- mkdir -p ${plan.directory}`,
  });
}

/** `directory` and `name` as one path. */
export function joinPath(directory: string, name: string): string {
  return name === "." ? directory : `${directory.replace(/\/$/, "")}/${name}`;
}
