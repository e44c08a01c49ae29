/** What there is to say of the network: for `network show`, and the rows of `doctor`. */
import type { DoctorCheck } from "../model/doctor.ts";
import type { NetworkService } from "./service.ts";

export interface NetworkReport {
  /** `namespace`: guests have cards. `channel`: connections over the agent's channel instead. `none`: neither. `why` says the reason. */
  readonly kind: "namespace" | "channel" | "none";
  readonly why?: string | undefined;
  readonly cure?: string | undefined;
  /** Whether the namespace is there now: it is made when the first VM starts. */
  readonly up: boolean;
  readonly namespace: string;
  /** The host's end of the link into it. */
  readonly hostLink: string;
  readonly pool: string;
  readonly gateway: string;
  readonly uplink: string;
  /** Taps that wait for a VM. */
  readonly readyTaps: number;
  readonly nameservers: readonly string[];
  /** What keeps the host from reaching guests by address. */
  readonly clash?: string | undefined;
  readonly vms: readonly NetworkedVm[];
}

export interface NetworkedVm {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly mode: string;
  readonly tap: string;
}

export async function reportNetwork(
  service: NetworkService,
  names: readonly { readonly id: string; readonly name: string }[],
): Promise<NetworkReport> {
  const found = await service.availability();
  const { network, plan } = service;
  return {
    kind: found.kind,
    ...(found.kind === "namespace" ? {} : { why: found.why, cure: found.cure }),
    up: network.up,
    namespace: plan.name,
    hostLink: plan.hostLink,
    pool: plan.pool,
    gateway: plan.gateway,
    uplink: { none: "none", channel: "the daemon", namespace: "pasta" }[found.kind],
    readyTaps: network.readyTaps,
    nameservers: service.upstreams().map(({ address }) => address),
    clash: service.clash(),
    vms: names.flatMap(({ id, name }) => {
      const attachment = network.attachment(id);
      if (attachment === undefined) return [];
      const { vm, tap } = attachment;
      return [{ id, name, address: vm.address, mode: vm.policy.mode, tap }];
    }),
  };
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
    const { pool, name } = service.plan;
    const rows = [
      {
        check: "network",
        verdict: "pass" as const,
        message: `guests have cards in the namespace ${name}, addresses of ${pool}, and pasta as their way out`,
      },
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
    ];
    return { rows, capabilities };
  };
}
