/** Copying from one guest to another: an archive runs through this process, and nothing is kept on the way. */
import { type CopyOptions, type CopyResult, count, type GuestAccess, send } from "./access.ts";
import { planIntoGuest, seenInGuest } from "./places.ts";

export interface GuestPath {
  readonly files: GuestAccess;
  readonly path: string;
}

/** By the rules of `banger cp`. Errors: those of both guests. */
export async function copyBetween(
  from: GuestPath,
  to: GuestPath,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { signal, archive = false } = options;
  const follow = options.follow === true || from.path.endsWith("/");
  const source = await from.files.stat(from.path, { follow, signal });
  const plan = await planIntoGuest(to.files, {
    source: { path: from.path, seen: seenInGuest(source) },
    path: to.path,
    signal,
  });
  const paths = [{ path: from.path, name: plan.name }];
  await using output = from.files.open({ type: "tar-out", paths, follow, special: archive }, { signal });
  const request = { type: "tar-in", path: plan.directory, keepOwners: archive, special: archive } as const;
  await using input = to.files.open(request, { signal });
  const bytes = await send(input, output.data(), options.onProgress);
  await output.result;
  return { entries: count(await input.result, "entries"), bytes, notes: [] };
}
