/** Directories of VMs that have a disk and whose record was lost, as when an older database was brought back. They stay as they are. */
import { existsSync, readdirSync } from "node:fs";
import { isUnrecorded } from "../lib/unrecorded.ts";
import type { VmContext } from "./context.ts";

type Known = Pick<VmContext, "layout" | "store">;

/** Their ids. */
export function lostVms(known: Known): string[] {
  const names = readdirSync(known.layout.vmsDir).filter((name) => /^[0-9a-f]{12}$/.test(name));
  return names.filter((id) => known.store.vms.byId(id) === undefined && holdsData(known, id));
}

/** Whether the directory of a VM without a record is somebody's: it has a disk, and neither the log knows a removal nor the directory says that it is nobody's. */
export function holdsData({ layout, store }: Known, id: string): boolean {
  const isNobodys = existsSync(layout.aside(id)) || isUnrecorded(layout.vmDir(id));
  return !isNobodys && existsSync(layout.disk(id)) && !store.events.knowsRemoval(id);
}
