/** Prune: what of the images room nothing refers to any more, and why the rest stays. */
import type { PruneItem } from "../model/image-prune.ts";
import type { ImageRecords } from "./image-records.ts";
import type { Images } from "./images.ts";

export interface PruneOptions {
  /** Also images that have a name and no VM. */
  readonly all: boolean;
  /** Only say what would be done. */
  readonly dryRun: boolean;
}

/**
 * Removes images that neither a name nor a VM refers to, then blobs that no image is made of, and the beginnings of downloads.
 * While a pull or an import runs, blobs stay. Safe to repeat; a crash half-way leaves a valid store.
 */
export async function pruneImages(
  images: Images,
  records: ImageRecords,
  { all, dryRun }: PruneOptions,
): Promise<PruneItem[]> {
  const found: PruneItem[] = [];
  for (const digest of await images.digests()) {
    const sizeBytes = await images.sizeOf(digest);
    found.push({ kind: "image", id: digest, sizeBytes, ...judge(records, digest, all) });
  }
  const doomed = found.filter((item) => item.removed).map((item) => item.id);
  const blobs = await images.unusedBlobs(doomed);
  if (dryRun) return [...found, ...blobs];
  for (const digest of doomed) {
    // It may have been named or used meanwhile.
    if (!judge(records, digest, all).removed) continue;
    for (const record of records.list()) if (record.digest === digest) await records.forget(record);
    await records.removeUnused(digest);
  }
  await images.removeUnusedBlobs();
  const left = new Set([...(await images.digests()), ...(await images.unusedBlobs()).map(({ id }) => id)]);
  return [...found, ...blobs].map((item) =>
    item.removed && left.has(item.id)
      ? { ...item, removed: false, reason: "in use now, or it goes when the pull or import under way ends" }
      : item,
  );
}

function judge(
  records: ImageRecords,
  digest: string,
  all: boolean,
): Pick<PruneItem, "names" | "removed" | "reason"> {
  const names = records.names(digest);
  const users = records.users(digest);
  if (users.length > 0) return { names, removed: false, reason: `used by ${users.join(", ")}` };
  if (names.length === 0) {
    const why = all ? undefined : records.whyKept(digest);
    return why === undefined
      ? { names, removed: true, reason: "it has no name, and no VM uses it" }
      : { names, removed: false, reason: `${why}; with --all it goes` };
  }
  return all
    ? { names, removed: true, reason: "no VM uses it" }
    : { names, removed: false, reason: "it has a name; with --all it goes too" };
}
