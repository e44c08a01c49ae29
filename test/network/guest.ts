/** A guest of the world: a namespace at the other end of its tap, with the address, MAC and routes that the agent gives one. */
import { writeFileSync } from "node:fs";
import { decode, encode } from "dns-packet";
import { inNetns } from "../../src/lib/netns.ts";
import type { Protocol } from "../../src/model/network-rule.ts";
import type { NetworkVm } from "../../src/network/elements.ts";
import type { NetworkPlan } from "../../src/network/names.ts";
import type { NetPrograms } from "../../src/network/programs.ts";
import { GREETING, serveTcp } from "./internet.ts";
import { ask } from "./probe.ts";

/** A packet that is refused is refused at once; this is for one that is lost. */
const LOST_MS = 2_000;
/** RFC 792; the kernel fills in checksum and identifier. */
const ECHO_REQUEST = Buffer.from([8, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]);

export interface Guest extends AsyncDisposable {
  readonly id: string;
  readonly address: string;
  readonly netns: string;
  readonly device: string;
  /** Whether an answer comes back. */
  reaches(address: string, protocol: Protocol, port?: number): Promise<boolean>;
  /** Asks the gateway for A records; the addresses, or the code of the answer. */
  resolve(name: string): Promise<readonly string[] | number>;
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
  inNetns(netns, () => writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"));
  const server = serveTcp(netns, 80);
  return {
    id: vm.id,
    address: vm.address,
    netns,
    device: peer,
    async reaches(target, protocol, port = 0) {
      const message = { tcp: undefined, udp: Buffer.from("hi"), icmp: ECHO_REQUEST }[protocol];
      const answer = await ask(netns, { protocol, address: target, port, message, timeoutMs: LOST_MS });
      return protocol === "icmp" ? answer?.[0] === 0 : answer?.toString() === GREETING;
    },
    resolve: async (question) => await resolveA(netns, plan.gateway, question),
    async [Symbol.asyncDispose]() {
      server.stop(true);
      await programs.ip(undefined, [`netns del ${name}`]);
    },
  };
}

async function resolveA(netns: string, server: string, name: string): Promise<readonly string[] | number> {
  const query = encode({ type: "query", id: 7, flags: 0x100, questions: [{ type: "A", name }] });
  const bytes = await ask(netns, {
    protocol: "udp",
    address: server,
    port: 53,
    message: query,
    timeoutMs: LOST_MS,
  });
  if (bytes === undefined) throw new Error(`no answer for ${name}`);
  const code = (bytes[3] ?? 0) & 15;
  return code !== 0
    ? code
    : (decode(bytes).answers ?? []).flatMap((one) => (one.type === "A" ? [one.data] : []));
}
