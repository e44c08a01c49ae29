/** ip(8) and nft(8) in an ordinary user's namespace, run by the process that is there. */
import { BangerError } from "../../model/errors.ts";
import type { NetPrograms } from "../programs.ts";
import type { InsideProcess } from "./inside-process.ts";

/** There is one namespace, whatever its name. */
export function userPrograms(inside: InsideProcess): NetPrograms {
  return {
    async ip(netns, lines) {
      demandInside(netns);
      if (lines.length > 0) await inside.order({ what: "ip", lines });
    },
    async ipJson(netns, args) {
      demandInside(netns);
      return await inside.order({ what: "ipJson", args });
    },
    nft: async (_, script) => void (await inside.order({ what: "nft", script })),
    nftJson: async (_, args) => await inside.order({ what: "nftJson", args }),
    release: () => void inside.end(),
  };
}

function demandInside(netns: string | undefined): void {
  if (netns === undefined) {
    throw new BangerError("internal", "an ordinary user cannot change the host's own network");
  }
}
