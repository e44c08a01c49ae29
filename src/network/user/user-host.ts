/** What of this host decides whether an ordinary user can have a network for guests. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { createRuleset } from "../ruleset.ts";
import { UNSHARE } from "./holder.ts";

export interface UserHost {
  has(program: string): boolean;
  /** What a file of /proc/sys holds; undefined: this kernel has no such setting. */
  setting(name: string): string | undefined;
  /** Of TUN: whether this user may open it. */
  tun(): "open" | "closed" | "absent";
  /** Makes what the network consists of in namespaces of its own, which end with it. Errors: `unavailable`, with what the programs said. */
  tryOut(): Promise<void>;
}

export const TUN = "/dev/net/tun";

const TRY_OUT =
  '"$1" link add br0 type bridge && "$1" tuntap add dev tap0 mode tap vnet_hdr && exec "$2" -f -';

export const THIS_HOST: UserHost = {
  has: (program) => findProgram(program) !== undefined,
  setting(name) {
    const path = `/proc/sys/${name}`;
    return existsSync(path) ? readFileSync(path, "latin1").trim() : undefined;
  },
  tun() {
    if (!existsSync(TUN)) return "absent";
    try {
      accessSync(TUN, constants.R_OK | constants.W_OK);
      return "open";
    } catch {
      return "closed";
    }
  },
  async tryOut() {
    const [ip = "ip", nft = "nft"] = ["ip", "nft"].map((name) => findProgram(name));
    await runProgram(["unshare", ...UNSHARE, "sh", "-c", TRY_OUT, "sh", ip, nft], {
      stdin: Buffer.from(createRuleset({ host4: [], host6: [], pool6: undefined })),
      stdout: "ignore",
    });
  },
};
