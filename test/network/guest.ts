/** A guest of the world: a namespace at the other end of its tap, with the address, MAC and routes that the agent gives one. */
import { writeFileSync } from "node:fs";
import { decode, encode } from "dns-packet";
import { inNetns } from "../../src/lib/netns.ts";
import { address6Of } from "../../src/model/addresses6.ts";
import type { Protocol } from "../../src/model/network-rule.ts";
import type { NetworkVm } from "../../src/network/elements.ts";
import type { NetworkPlan, Plan6 } from "../../src/network/names.ts";
import type { NetPrograms } from "../../src/network/programs.ts";
import { GREETING, serveTcp } from "./internet.ts";
import { ask, echoRequest, meetNeighbour } from "./probe.ts";

/** A packet that is refused is refused at once; this is for one that is lost. */
const LOST_MS = 5_000;
/** The type of an answer to a ping (RFC 792, RFC 4443). */
const ECHO_REPLY = { 4: 0, 6: 129 } as const;

export interface Guest extends AsyncDisposable {
  readonly id: string;
  readonly address: string;
  readonly netns: string;
  readonly device: string;
  /** Whether an answer comes back. */
  reaches(address: string, protocol: Protocol, port?: number): Promise<boolean>;
  /** Asks the gateway for A records, or others; the addresses, or the code of the answer. */
  resolve(name: string, type?: "A" | "AAAA"): Promise<readonly string[] | number>;
}

export async function createGuest(
  programs: NetPrograms,
  { vm, world, plan, peer }: { vm: NetworkVm; world: string; plan: NetworkPlan; peer: string },
): Promise<Guest> {
  const name = `bt${world}g${vm.address.split(".").at(-1)}`;
  const netns = `/run/netns/${name}`;
  await programs.ip(undefined, [`netns add ${name}`]);
  await programs.ip(plan.netnsPath, [`link set ${peer} netns ${name}`]);
  await programs.ip(netns, [
    "link set lo up",
    `link set ${peer} address ${vm.mac}`,
    `addr add ${vm.address}/32 dev ${peer}`,
    `link set ${peer} up`,
    `route add ${plan.gateway}/32 dev ${peer}`,
    `route add default via ${plan.gateway}`,
  ]);
  if (plan.ipv6 !== undefined) await placeIpv6(programs, { netns, peer, vm, ipv6: plan.ipv6 });
  inNetns(netns, () => writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"));
  // The bridge passes nothing for a moment after the card came up, and a question for a neighbour is asked again only a second later.
  if (plan.ipv6 !== undefined) await meetNeighbour(netns, plan.ipv6.gateway);
  const server = serveTcp(netns, 80, plan.ipv6 !== undefined);
  return {
    id: vm.id,
    address: vm.address,
    netns,
    device: peer,
    async reaches(target, protocol, port = 0) {
      const family = target.includes(":") ? 6 : 4;
      const echo = echoRequest(family);
      const message = { tcp: undefined, udp: Buffer.from("hi"), icmp: echo }[protocol];
      const answer = await ask(netns, { protocol, address: target, port, message, timeoutMs: LOST_MS });
      return protocol === "icmp" ? answer?.[0] === ECHO_REPLY[family] : answer?.toString() === GREETING;
    },
    resolve: async (name, type = "A") => await resolve(netns, plan.gateway, { name, type }),
    async [Symbol.asyncDispose]() {
      server.stop(true);
      await programs.ip(undefined, [`netns del ${name}`]);
    },
  };
}

/** As the agent does: the address alone, the gateway on the link, no waiting for others that might have the address. */
async function placeIpv6(
  programs: NetPrograms,
  { netns, peer, vm, ipv6 }: { netns: string; peer: string; vm: NetworkVm; ipv6: Plan6 },
): Promise<void> {
  await programs.ip(netns, [
    `addr add ${address6Of(ipv6.pool, vm.address)}/128 dev ${peer} nodad`,
    `route add ${ipv6.gateway}/128 dev ${peer}`,
    `route add ::/0 via ${ipv6.gateway}`,
  ]);
}

async function resolve(
  netns: string,
  server: string,
  question: { readonly name: string; readonly type: "A" | "AAAA" },
): Promise<readonly string[] | number> {
  const bytes = await ask(netns, {
    protocol: "udp",
    address: server,
    port: 53,
    message: encode({ type: "query", id: 7, flags: 0x100, questions: [question] }),
    timeoutMs: LOST_MS,
  });
  if (bytes === undefined) throw new Error(`no answer for ${question.name}`);
  const code = (bytes[3] ?? 0) & 15;
  return code !== 0
    ? code
    : (decode(bytes).answers ?? []).flatMap((one) => (one.type === question.type ? [one.data] : []));
}
