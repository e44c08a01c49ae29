/** The network of a VM's life: a card on a tap whose rules are the VM's policy. Where no card can be had, guests have none. */

import { macFromAddress } from "../model/addresses.ts";
import type { Capability, GuestNetwork } from "../model/capability.ts";
import { BangerError } from "../model/errors.ts";
import { parseNetworkPolicy } from "../model/network-policy.ts";
import type { VmRecord } from "../model/vm.ts";
import type { Availability } from "./availability.ts";
import type { Egress } from "./egress/egress.ts";
import type { NetworkVm } from "./elements.ts";
import type { Network } from "./network.ts";

/** The id of the card in the machine. */
const NIC = "net0";
/** What has the agent load the kernel's TUN module (agent/src/boot/modules.rs). */
const TUN_WORD = "banger.tun";
/** What a saved machine depends on, by the way that guests have. */
const DEVICES: Readonly<Record<Availability["kind"], readonly string[]>> = {
  none: [],
  channel: [TUN_WORD],
  namespace: [NIC],
};

export interface NetworkCapabilityOptions {
  readonly network: Network;
  /** For guests without cards. */
  readonly egress: Egress;
  /** Whether cards can be had, with what the host and the hypervisor offer. */
  readonly availability: () => Promise<Availability>;
  /** Refuses an address pool that the user chose and that cannot be used. Errors: `failed_precondition`. */
  readonly checkPool: () => void;
  /** What short names are tried with. */
  readonly search: () => readonly string[];
  /** Hears of a VM that starts without a network although it could have had one. */
  readonly onProblem: (id: string, error: unknown) => void;
}

export function createNetworkCapability(options: NetworkCapabilityOptions): Capability {
  const { network, egress } = options;
  /** VMs that are about to start with a way out over the agent's channel. */
  const overChannel = new Set<string>();
  return {
    name: "network",
    async devices() {
      return DEVICES[(await options.availability()).kind];
    },
    async preflight({ vm }) {
      const found = await options.availability();
      if (found.kind === "none") refuseWish(vm, found);
      if (found.kind === "namespace") options.checkPool();
    },
    async prepare({ vm }, undo) {
      const { kind } = await options.availability();
      if (kind === "channel") overChannel.add(vm.id);
      if (kind !== "namespace") return;
      undo.defer(() => network.detach(vm.id));
      try {
        await network.attach(networkVm(vm));
      } catch (error) {
        // A host that cannot make the namespace at all still runs VMs: none of them is more open for it.
        if (network.up || isWish(vm)) throw error;
        options.onProblem(vm.id, error);
      }
    },
    contribute({ vm }, draft) {
      const { netnsPath, gateway, ipv6 } = network.plan;
      if (overChannel.has(vm.id)) {
        draft.cmdline.push(TUN_WORD);
        draft.resolver = { nameservers: [gateway], search: options.search() };
      }
      const attachment = network.attachment(vm.id);
      if (attachment === undefined) return;
      const { mac, address, address6 } = attachment.vm;
      draft.nics.push({ id: NIC, mac, tap: attachment.tap, netns: netnsPath });
      // A template's guest has its card up, which takes longest, and no place: each clone is told of its own.
      const guest: GuestNetwork = { mac, address, gateway, nameservers: [gateway], search: options.search() };
      const isPlaced = ipv6 !== undefined && address6 !== undefined;
      draft.network = isPlaced ? { ...guest, ipv6: { address: address6, gateway: ipv6.gateway } } : guest;
    },
    async changed({ before, after }) {
      if (JSON.stringify(before.spec.network) === JSON.stringify(after.spec.network)) return;
      const found = await options.availability();
      if (egress.has(after.id)) return egress.change(networkVm(after));
      if (found.kind === "none") refuseWish(after, found);
      await network.change(networkVm(after));
    },
    async reachable(vm) {
      if ((await options.availability()).kind === "channel" || overChannel.has(vm.id))
        await egress.open(networkVm(vm));
    },
    async cleanup({ id }) {
      egress.close(id);
      overChannel.delete(id);
      await network.detach(id);
    },
  };
}

/** A record as the network knows it. */
export function networkVm(vm: VmRecord): NetworkVm {
  return {
    id: vm.id,
    address: vm.address,
    mac: macFromAddress(vm.address),
    policy: parseNetworkPolicy(vm.spec.network),
  };
}

/** Modes that somebody asked for by name: going without would not be what was asked. */
function isWish({ spec: { network } }: VmRecord): boolean {
  return network.mode === "allow" || network.mode === "full";
}

function refuseWish(vm: VmRecord, found: Extract<Availability, { kind: "none" }>): void {
  if (!isWish(vm)) return;
  const { mode } = vm.spec.network;
  throw new BangerError("unavailable", `${vm.name} cannot have the network ${mode} here: ${found.why}`, {
    cure: `${found.cure}; or go without: banger set ${vm.name} --network none`,
    details: { mode },
  });
}
