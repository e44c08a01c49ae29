/** The store: one SQLite file, its tables as objects. */

import { EventTable } from "./events.ts";
import { ImageTable } from "./images.ts";
import { KernelTable } from "./kernels.ts";
import { openDatabase } from "./open.ts";
import { openWithReserve, SpaceReserve } from "./reserve.ts";
import { SnapshotTable } from "./snapshots.ts";
import { VmTable } from "./vms.ts";
import { VolumeTable } from "./volumes.ts";
import { WorkspaceTable } from "./workspaces.ts";

export interface Store extends Disposable {
  readonly vms: VmTable;
  readonly events: EventTable;
  readonly images: ImageTable;
  readonly kernels: KernelTable;
  readonly volumes: VolumeTable;
  readonly snapshots: SnapshotTable;
  readonly workspaces: WorkspaceTable;
}

/** Opens the store at `path`; errors as `openDatabase`. Disposing closes it. */
export function openStore(path: string, now: () => number = Date.now): Store {
  const room = `${path}-reserve`;
  const db = openWithReserve(room, () => openDatabase(path));
  const events = new EventTable(db, now);
  const reserve = new SpaceReserve(room);
  return {
    events,
    vms: new VmTable(db, { events, reserve }),
    images: new ImageTable(db),
    kernels: new KernelTable(db),
    volumes: new VolumeTable(db),
    snapshots: new SnapshotTable(db, reserve),
    workspaces: new WorkspaceTable(db, reserve),
    [Symbol.dispose]: () => db.close(),
  };
}
