/** What there is to say of the network: for `network show`, and the rows of `doctor`. */
import type { DoctorCheck } from "../model/doctor.ts";
import type { NetworkedVm, NetworkReport } from "../model/network-report.ts";
import type { NetworkVm } from "./elements.ts";
import type { NetworkService } from "./service.ts";

/** What an ordinary user goes without. */
const NO_HOST_LINK =
  "an ordinary user's namespace has no link to the host, which reaches guests by published ports and forwards";

const LOST = "it was removed from outside, and the guests in it reach nothing until they are started again";
const LOST_CURE = "banger restart NAME, for each VM that runs";

export async function reportNetwork(
  service: NetworkService,
  names: readonly { readonly id: string; readonly name: string }[],
): Promise<NetworkReport> {
  const found = await service.availability();
  const { network, plan, ground } = service;
  const isThere = network.up && ground.exists();
  return {
    kind: found.kind,
    ...(found.kind === "namespace" ? {} : { why: found.why, cure: found.cure }),
    ...(found.kind === "namespace" && ground.owner === "user" ? { why: NO_HOST_LINK } : {}),
    up: isThere,
    ...(network.up && !isThere ? { lost: `${LOST}: ${LOST_CURE}` } : {}),
    ...placeOf(service, isThere),
    pool: plan.pool,
    gateway: plan.gateway,
    ...(found.kind === "namespace" ? reportIpv6(service) : {}),
    uplink: { none: "none", channel: "the daemon", namespace: "pasta" }[found.kind],
    readyTaps: network.readyTaps,
    nameservers: service.upstreams().map(({ address }) => address),
    clash: service.clash(),
    vms: names.flatMap(({ id, name }) => {
      const attachment = network.attachment(id);
      if (attachment === undefined) return [];
      const { vm, tap } = attachment;
      return [{ id, name, address: vm.address, mode: vm.policy.mode, tap, ...address6Of(vm) }];
    }),
  };
}

/** Where the namespace is or would be, and what keeps it or leads into it. */
function placeOf(
  { plan, ground }: NetworkService,
  isThere: boolean,
): Pick<NetworkReport, "namespace" | "keeper" | "hostLink"> {
  if (ground.owner === "root") return { namespace: plan.name, hostLink: plan.hostLink };
  const keeper = isThere ? ground.keeper() : undefined;
  return { namespace: plan.netnsPath, ...(keeper === undefined ? {} : { keeper }) };
}

function reportIpv6(service: NetworkService): Pick<NetworkReport, "pool6" | "gateway6" | "problem6"> {
  const { ipv6 } = service.plan;
  const problem6 = service.problem6();
  return {
    ...(ipv6 === undefined ? {} : { pool6: ipv6.pool, gateway6: ipv6.gateway }),
    ...(problem6 === undefined ? {} : { problem6 }),
  };
}

function address6Of({ address6 }: NetworkVm): Pick<NetworkedVm, "address6"> {
  return address6 === undefined ? {} : { address6 };
}

export function checkNetwork(service: NetworkService): DoctorCheck {
  return async () => {
    const found = await service.availability();
    const clash = service.clash();
    const capabilities = { network: found.kind };
    if (found.kind === "none") {
      const message = `guests have no network card: ${found.why}`;
      return { rows: [{ check: "network", verdict: "warn", message, cure: found.cure }], capabilities };
    }
    if (found.kind === "channel") {
      const message = `guests have no network card, and TCP and names over the agent's channel: ${found.why}`;
      return { rows: [{ check: "network", verdict: "warn", message, cure: found.cure }], capabilities };
    }
    const { pool, name, ipv6 } = service.plan;
    const problem6 = service.problem6();
    const pools = ipv6 === undefined ? pool : `${pool} and ${ipv6.pool}`;
    const rows = [
      {
        check: "network",
        verdict: "pass" as const,
        message: `guests have cards in ${found.owner === "root" ? `the namespace ${name}` : "a namespace of this user's"}, addresses of ${pools}, and pasta as their way out${found.owner === "root" ? "" : `; ${NO_HOST_LINK}`}`,
      },
      ...(service.network.up && !service.ground.exists()
        ? [{ check: "network", verdict: "warn" as const, message: `the namespace: ${LOST}`, cure: LOST_CURE }]
        : []),
      ...(clash === undefined
        ? []
        : [
            {
              check: "network",
              verdict: "warn" as const,
              message: `the address pool ${pool} overlaps ${clash}: the host cannot reach guests by address`,
              cure: "choose another one with network.address_pool in config.toml",
            },
          ]),
      ...(problem6 === undefined
        ? []
        : [{ check: "network", verdict: "warn" as const, message: `IPv6 of guests: ${problem6}` }]),
    ];
    return { rows, capabilities };
  };
}
