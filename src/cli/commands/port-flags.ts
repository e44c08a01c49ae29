/** The flags that publish ports of a VM, shared by run, create and set. */
import type { Command } from "commander";
import {
  type PublishedPort,
  type PublishedPortRef,
  parsePublish,
  parseUnpublish,
  validatePorts,
} from "../../model/published-port.ts";
import { collect } from "./repeatable.ts";

export interface PortFlags {
  readonly publish?: readonly string[];
}

export function addPublishOption(command: Command): Command {
  return command.option(
    "-p, --publish <[IP:]HOST:GUEST[/udp]>",
    "listen on this host (on 127.0.0.1) for a port of the guest, may be repeated; HOST 0 takes a free one",
    collect,
  );
}

export function addUnpublishOption(command: Command): Command {
  return command.option("--unpublish <[IP:]HOST[/udp]>", "no longer listen there, may be repeated", collect);
}

/** Errors: `invalid_argument`. */
export function parsePorts({ publish }: PortFlags): readonly PublishedPort[] | undefined {
  return publish === undefined ? undefined : validatePorts(publish.map(parsePublish));
}

/** Errors: `invalid_argument`. */
export function parsePortsWish(flags: PortFlags & { readonly unpublish?: readonly string[] }): {
  readonly publish?: readonly PublishedPort[];
  readonly unpublish?: readonly PublishedPortRef[];
} {
  const publish = parsePorts(flags);
  return {
    ...(publish === undefined ? {} : { publish }),
    ...(flags.unpublish === undefined ? {} : { unpublish: flags.unpublish.map(parseUnpublish) }),
  };
}
