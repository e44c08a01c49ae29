/** The volumes of a VM: taken at its start, attached by serial, mounted by the agent, let go at its end. */
import type { Capability, CapabilityContext } from "../model/capability.ts";
import type { VolumeRecord } from "../model/volume.ts";
import type { Volumes } from "./volumes.ts";

export function createVolumeCapability(volumes: Volumes): Capability {
  /** What a start has claimed, between its prepare and its contribute. */
  const claimed = new Map<string, readonly VolumeRecord[]>();
  const mountsOf = ({ vm }: CapabilityContext) => vm.spec.volumes ?? [];
  return {
    name: "volumes",
    async prepare(context) {
      const records = mountsOf(context).map((mount) => volumes.claim(context.vm, mount));
      claimed.set(context.vm.id, records);
      for (const record of records) await volumes.ensureFile(record);
    },
    contribute(context, draft) {
      const records = claimed.get(context.vm.id) ?? [];
      for (const [at, { target, readOnly }] of mountsOf(context).entries()) {
        const record = records[at];
        if (record === undefined) continue;
        const id = `vol-${record.id}`;
        draft.disks.push({ id, path: volumes.path(record), readOnly });
        draft.mounts.push({ disk: id, type: "ext4", target, readOnly });
      }
    },
    async cleanup({ id }) {
      claimed.delete(id);
      volumes.release(id);
    },
  };
}
