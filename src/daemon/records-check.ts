/** The diagnosis of what lies in the state directory without a record: somebody's data, which banger keeps and does not use. */
import type { DoctorCheck, DoctorRow } from "../model/doctor.ts";

/** Paths of each kind, but for images: their digests. */
export interface Unrecorded {
  readonly vmDirectories: readonly string[];
  readonly volumeFiles: readonly string[];
  readonly snapshotDirectories: readonly string[];
  readonly images: readonly string[];
}

/** More of a kind are counted, and not shown. */
const MAX_SHOWN = 20;
const MANUAL = "docs/operating.md#an-older-database";

/** Says nothing where all is well. */
export function checkRecords(find: () => Promise<Unrecorded>): DoctorCheck {
  return async () => {
    const { vmDirectories, volumeFiles, snapshotDirectories, images } = await find();
    return {
      rows: [
        ...rowsOf(vmDirectories, (dir) => ({
          message: `the disk of a VM in ${dir} has no record`,
          cure: `to give it to a new VM, see ${MANUAL}; to give it up: rm -r ${dir}`,
        })),
        ...rowsOf(snapshotDirectories, (dir) => ({
          message: `the snapshot in ${dir} has no record`,
          cure: `to give its disk to a new VM, see ${MANUAL}; to give it up: rm -r ${dir}`,
        })),
        ...rowsOf(volumeFiles, (file) => ({
          message: `the file ${file} has no record, and is no volume`,
          cure: `look what it is, then: rm ${file}`,
        })),
        ...rowsOf(images, (digest) => ({
          message: `the image ${digest} has no record`,
          cure: `to give it a name: banger image tag ${digest} NAME; to give up all such: banger image prune --all`,
        })),
      ],
    };
  };
}

function rowsOf(
  found: readonly string[],
  tell: (one: string) => Pick<DoctorRow, "message" | "cure">,
): DoctorRow[] {
  const rows = found
    .slice(0, MAX_SHOWN)
    .map((one) => ({ check: "records", verdict: "warn" as const, ...tell(one) }));
  const [first] = rows;
  if (found.length <= MAX_SHOWN || first === undefined) return rows;
  return [...rows, { ...first, message: `${found.length - MAX_SHOWN} more of these have no record` }];
}
