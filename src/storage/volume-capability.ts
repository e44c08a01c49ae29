/** What a VM mounts: volumes, taken at its start and let go at its end, and copies of directories, made for each run. */
import { rm } from "node:fs/promises";
import type { Capability, CapabilityContext } from "../model/capability.ts";
import { isDirectoryMount, MAX_MOUNTS, type VolumeRecord } from "../model/volume.ts";
import { copyDirectory, demandDirectory } from "./copied-directory.ts";
import type { Volumes } from "./volumes.ts";

/** `copyPath`: where the copy of a VM's directory goes, by its place among the mounts. */
export function createVolumeCapability(
  volumes: Volumes,
  copyPath: (vmId: string, place: number) => string,
): Capability {
  /** What a start has claimed, between its prepare and its contribute; undefined stands for a directory. */
  const claimed = new Map<string, readonly (VolumeRecord | undefined)[]>();
  const mountsOf = ({ vm }: CapabilityContext) => vm.spec.volumes ?? [];
  return {
    name: "volumes",
    preflight(context) {
      for (const mount of mountsOf(context)) if (isDirectoryMount(mount)) demandDirectory(mount.volume);
    },
    async prepare(context) {
      const { vm } = context;
      const mounts = mountsOf(context);
      const records = mounts.map((mount) => (isDirectoryMount(mount) ? undefined : volumes.claim(vm, mount)));
      claimed.set(vm.id, records);
      for (const [place, mount] of mounts.entries()) {
        const record = records[place];
        if (record === undefined) await copyDirectory(mount.volume, copyPath(vm.id, place));
        else await volumes.demandFile(record);
      }
    },
    contribute(context, draft) {
      const records = claimed.get(context.vm.id) ?? [];
      for (const [place, { target, readOnly }] of mountsOf(context).entries()) {
        const record = records[place];
        const [id, path] =
          record === undefined
            ? [`dir-${place}`, copyPath(context.vm.id, place)]
            : [`vol-${record.id}`, volumes.path(record)];
        draft.disks.push({ id, path, readOnly });
        draft.mounts.push({ disk: id, type: record === undefined ? "squashfs" : "ext4", target, readOnly });
      }
    },
    async cleanup({ id }) {
      claimed.delete(id);
      volumes.release(id);
      for (let place = 0; place < MAX_MOUNTS; place += 1) {
        const path = copyPath(id, place);
        await Promise.all([rm(path, { force: true }), rm(`${path}.new`, { force: true })]);
      }
    },
  };
}
