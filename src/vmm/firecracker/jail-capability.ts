/** The end of jails: a VM that has stopped, by whatever way, leaves none. */
import { existsSync } from "node:fs";
import type { Capability } from "../../model/capability.ts";
import { removeJails } from "./jail-removal.ts";

/** `base`: where jails are made. */
export function createJailCapability({ base }: { readonly base: string }): Capability {
  return {
    name: "jail",
    async cleanup({ id }) {
      if (existsSync(base)) await removeJails(base, id);
    },
  };
}
