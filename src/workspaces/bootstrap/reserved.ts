/** What a work tree may ask for and only a user may give, for it opens something of the host. */
import type { ReservedWish } from "../../model/bootstrap.ts";
import { parseImageReference } from "../../model/image-reference.ts";
import type { NetworkMode } from "../../model/network-policy.ts";
import type { NetworkRule } from "../../model/network-rule.ts";
import type { PublishedPort } from "../../model/published-port.ts";

export interface WishesOfTree {
  readonly image: string | undefined;
  readonly network: NetworkMode | undefined;
  readonly allow: readonly NetworkRule[] | undefined;
  readonly ports: readonly PublishedPort[] | undefined;
}

/**
 * The mode `full`, addresses that may be reached (a name never leads to private ones), ports elsewhere than on 127.0.0.1 or below 1024,
 * and images of a registry that is an address or a name of one word: this host asks it, not the guest.
 */
export function reservedWishes({ image, network, allow, ports }: WishesOfTree): readonly ReservedWish[] {
  return [...reservedImage(image), ...reservedNetwork(network, allow), ...reservedPorts(ports)];
}

/** As the host sees the internet: dots, and a last part that is no number. */
const PUBLIC_REGISTRY = /^[a-z0-9.-]+\.[a-z][a-z0-9-]*(?::\d+)?$/;

function reservedImage(image: string | undefined): readonly ReservedWish[] {
  if (image === undefined || !image.includes("/")) return [];
  const { registry } = parseImageReference(image);
  const isPublic = PUBLIC_REGISTRY.test(registry) && !/\.localhost(?::|$)/.test(registry);
  return isPublic ? [] : [{ field: "image", flag: `--image ${image}` }];
}

function reservedNetwork(
  mode: NetworkMode | undefined,
  allow: readonly NetworkRule[] = [],
): readonly ReservedWish[] {
  const nets = allow.filter(({ host }) => host.kind === "net");
  return [
    ...(mode === "full" ? [{ field: "network" as const, flag: "--network full" }] : []),
    ...nets.map((rule) => ({ field: "network" as const, flag: `--allow ${rule.text}` })),
  ];
}

function reservedPorts(ports: readonly PublishedPort[] = []): readonly ReservedWish[] {
  return ports
    .filter(({ address, hostPort }) => address !== "127.0.0.1" || (hostPort > 0 && hostPort < 1024))
    .map((port) => ({ field: "ports", flag: `-p ${formatPort(port)}` }));
}

function formatPort({ address, hostPort, guestPort, protocol }: PublishedPort): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}:${hostPort}:${guestPort}${protocol === "udp" ? "/udp" : ""}`;
}
