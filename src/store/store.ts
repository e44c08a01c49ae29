/** The store: one SQLite file, its tables as objects. */

import { ImageTable } from "./images.ts";
import { openDatabase } from "./open.ts";
import { VmTable } from "./vms.ts";

export interface Store extends Disposable {
  readonly vms: VmTable;
  readonly images: ImageTable;
}

/** Opens the store at `path`; errors as `openDatabase`. Disposing closes it. */
export function openStore(path: string): Store {
  const db = openDatabase(path);
  return { vms: new VmTable(db), images: new ImageTable(db), [Symbol.dispose]: () => db.close() };
}
