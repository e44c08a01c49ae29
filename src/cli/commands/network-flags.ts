/** The flags that say what a VM may reach, shared by run, create and set. */
import type { Command } from "commander";
import type { NetworkWish } from "../../api/types/network.ts";
import { BangerError } from "../../model/errors.ts";
import { parseNetworkMode } from "../../model/network-policy.ts";
import { parseNetworkRule } from "../../model/network-rule.ts";
import { collect } from "./repeatable.ts";

export interface NetworkFlags {
  readonly network?: string;
  readonly nat?: boolean;
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly networkPeers?: boolean;
}

export function addNetworkOptions(command: Command): Command {
  return command
    .option("--network <mode>", "what the guest may reach: none, public (the default), allow or full")
    .option(
      "--allow <rule>",
      "HOST[:PORT][/PROTOCOL] that may be reached and nothing else, may be repeated",
      collect,
    )
    .option("--deny <rule>", "HOST[:PORT][/PROTOCOL] that may not be reached, may be repeated", collect)
    .option("--network-peers", "talk with the other guests that say so, too")
    .option("--nat", "the same as --network full");
}

/** What the flags ask for; undefined when they say nothing. Errors: `invalid_argument`. */
export function parseNetwork(flags: NetworkFlags): NetworkWish | undefined {
  if (flags.nat === true && flags.network !== undefined && flags.network !== "full") {
    throw new BangerError("invalid_argument", "--nat means --network full", {
      cure: "give one of the two",
      details: { field: "nat" },
    });
  }
  const text = flags.nat === true ? "full" : flags.network;
  const wish: NetworkWish = {
    ...(text === undefined ? {} : { mode: parseNetworkMode(text) }),
    ...(flags.allow === undefined
      ? {}
      : { allow: flags.allow.map((rule) => parseNetworkRule(rule, "allow").text) }),
    ...(flags.deny === undefined
      ? {}
      : { deny: flags.deny.map((rule) => parseNetworkRule(rule, "deny").text) }),
    ...(flags.networkPeers === undefined ? {} : { peers: flags.networkPeers }),
  };
  return Object.keys(wish).length === 0 ? undefined : wish;
}
