/** The network as the daemon has it: the namespace with its resolver and its reader of refused packets, and what can be asked of it. */
import { keptFor } from "../lib/kept-for.ts";
import { NOWHERE } from "../model/addresses.ts";
import { decideTarget, type NetworkDecision, type NetworkFacts } from "../model/network-decision.ts";
import { type Availability, type CardAvailability, type NetworkWay, noCards } from "./availability.ts";
import { BlockedEvents } from "./blocked-events.ts";
import { type CheckResult, checkTarget, type Lookup } from "./check.ts";
import { createCache } from "./dns/cache.ts";
import { lookupFor } from "./dns/lookup.ts";
import { type Asker, createResolver, type Resolve, ZONE } from "./dns/resolver.ts";
import { createDnsServer } from "./dns/server.ts";
import { createUpstream, type Nameserver } from "./dns/upstream.ts";
import { decideEgress } from "./egress/decide.ts";
import type { NetworkVm } from "./elements.ts";
import type { Ground } from "./ground.ts";
import { hasIpv6, hostAddresses } from "./host-facts.ts";
import { isHostRouted } from "./host-link.ts";
import { type HostResolver, readHostResolver } from "./host-resolver.ts";
import type { NamedAnswer } from "./named-addresses.ts";
import { createPlan, type NetworkPlan } from "./names.ts";
import { Network } from "./network.ts";
import { checkPools, placeOf, pool6Problem, poolClash } from "./pools.ts";
import { createNetPrograms, type NetPrograms } from "./programs.ts";
import { tellResolved } from "./resolved.ts";
import { hostLater } from "./revival.ts";
import { createRootGround } from "./root-ground.ts";
import { createPastaUplink } from "./uplink.ts";

export interface NetworkServiceOptions {
  readonly uid: number;
  readonly stateDir: string;
  /** The address pool, and whether somebody chose it. */
  readonly pool: string;
  readonly poolIsChosen: boolean;
  /** The IPv6 pool; undefined: guests have no IPv6. */
  readonly pool6?: string | undefined;
  readonly tapPoolSize: number;
  /** As in `createPlan`. */
  readonly netnsPath?: string | undefined;
  /** Where names of guests are answered on 127.0.0.1; 0: nowhere. */
  readonly dnsPort: number;
  /** The address of a VM by its name. */
  readonly addressOf: (name: string) => string | undefined;
  /** Default: `auto`. */
  readonly way?: NetworkWay;
  /** Why the hypervisor's guests can have no way out over the agent's channel; undefined: they can. */
  readonly channelRefused?: () => Promise<string | undefined>;
  /** Why the hypervisor takes no cards of such a namespace, and the cure; undefined: it does. */
  readonly nicsRefused: (
    owner: Ground["owner"],
  ) => Promise<{ readonly why: string; readonly cure: string } | undefined>;
  /** Hears of a packet or an answer that a VM, by its id, was refused. */
  readonly onBlocked: (id: string, message: string) => void;
  readonly onProblem: (what: string, error: unknown) => void;
  readonly onStep: (step: string) => void;
  /** Default: /etc/resolv.conf. */
  readonly hostResolver?: () => HostResolver;
  /** Root's programs; default: the host's. */
  readonly programs?: NetPrograms;
  /** Default: root's. */
  readonly ground?: (plan: NetworkPlan) => Ground;
  /** The program resolvectl(1); default: the one on PATH, if any. */
  readonly resolvectl?: string;
}

const DNS_PORT = 53;
/** So long the resolver takes the host to be what it was: a look at it for each question would take longer than the answer. */
const HOST_KEPT_MS = 1_000;

export class NetworkService {
  readonly network: Network;
  readonly #ground: Ground;
  readonly #options: NetworkServiceOptions;
  readonly #resolve: Resolve;
  readonly #blocked: BlockedEvents;
  /** Ids of guests without cards that were refused something, by address. */
  readonly #unattached = new Map<string, string>();
  readonly #hostResolver: () => HostResolver;

  constructor(options: NetworkServiceOptions) {
    this.#options = options;
    this.#hostResolver = options.hostResolver ?? keptFor(HOST_KEPT_MS, readHostResolver);
    const plan = createPlan({ ...options, pool6: hasIpv6() ? options.pool6 : undefined });
    const { onProblem } = options;
    const { ground = (at) => createRootGround(at, options.programs ?? createNetPrograms()) } = options;
    this.#ground = ground(plan);
    const uplink = createPastaUplink({
      netnsPath: plan.netnsPath,
      where: () => this.#ground.uplinkArguments(),
      onProblem,
    });
    this.network = new Network({
      plan,
      ground: this.#ground,
      uplink,
      tapPoolSize: options.tapPoolSize,
      services: [(at) => this.#serveGuests(at), () => this.#readBlocked(), (at) => this.#serveHost(at)],
      onProblem,
      onStep: options.onStep,
      later: hostLater,
    });
    this.#resolve = createResolver({
      ask: createCache({
        ask: createUpstream({ servers: () => this.upstreams() }),
        servers: () => this.upstreams(),
        now: () => performance.now(),
      }),
      addressOf: options.addressOf,
      address6Of: (name) => {
        const address = options.addressOf(name);
        return address === undefined ? undefined : this.network.vmAt(address)?.address6;
      },
      // What an answer points at is looked at once more when a packet goes there.
      facts: keptFor(HOST_KEPT_MS, () => this.facts()),
    });
    this.#blocked = new BlockedEvents({
      now: () => performance.now(),
      tell: (guest, message) => {
        const id = this.network.vmAt(guest)?.id ?? this.#unattached.get(guest);
        if (id !== undefined) options.onBlocked(id, message);
      },
    });
  }

  get plan(): NetworkPlan {
    return this.network.plan;
  }

  get ground(): Ground {
    return this.#ground;
  }

  async availability(): Promise<Availability> {
    const { way = "auto", channelRefused } = this.#options;
    const card =
      way === "channel" ? noCards("network.mode is channel", "set it to auto") : await this.#cards();
    if (card.kind === "namespace" || way === "namespace" || channelRefused === undefined) return card;
    const refused = await channelRefused();
    return refused === undefined ? { ...card, kind: "channel" } : card;
  }

  async #cards(): Promise<CardAvailability> {
    const found = await this.#ground.available();
    if (found.kind === "none") return found;
    const refused = await this.#options.nicsRefused(found.owner);
    return refused === undefined ? found : noCards(refused.why, refused.cure);
  }

  /** Refuses a chosen pool that the host uses itself. Errors: `failed_precondition`. */
  checkPool(): void {
    checkPools(this.plan, this.#options.poolIsChosen);
  }

  /** What of the host overlaps the pool, for a person. */
  clash(): string | undefined {
    return poolClash(this.plan);
  }

  /** Why guests have no IPv6, or another pool, although the configuration says otherwise. */
  problem6(): string | undefined {
    return pool6Problem(this.plan, this.#options.pool6);
  }

  /** The address by which this host reaches a VM that is up; undefined when there is no way but the agent's channel. */
  routeTo(id: string): string | undefined {
    // An ordinary user's namespace has no link to the host.
    if (this.#ground.owner === "user") return undefined;
    const address = this.network.attachment(id)?.vm.address;
    return address === undefined || address === NOWHERE || !isHostRouted(this.plan) ? undefined : address;
  }

  /** As `openTap` of lib/tap.ts, in the namespace. */
  async openTap(name: string): Promise<number> {
    return await this.#ground.inside.openTap(name);
  }

  facts(): NetworkFacts {
    const { ipv6 } = this.plan;
    const peerAt = (address: string): boolean | undefined => this.network.vmAt(address)?.policy.peers;
    const place6 = ipv6 === undefined ? undefined : placeOf(ipv6);
    return { hostAddresses: hostAddresses(), ...placeOf(this.plan), ipv6: place6, peerAt };
  }

  /** What would become of a VM's packet. Errors: `invalid_argument`. */
  async check(vm: NetworkVm, target: string): Promise<CheckResult> {
    const found = await this.availability();
    if (found.kind === "none")
      return { verdict: "deny", rule: `no network card: ${found.why}`, addresses: [] };
    const lookup: Lookup = lookupFor(this.#resolve, this.#askerOf(vm));
    const decide = found.kind === "channel" ? decideOverChannel : decideTarget;
    return await checkTarget(vm.policy, target, { facts: this.facts(), lookup, decide });
  }

  /** Answers a question of a guest without a card; `allow` hears of what it may reach by the answer. Never throws. */
  async answer(
    vm: NetworkVm,
    { message, transport }: { readonly message: Uint8Array; readonly transport: "udp" | "tcp" },
    allow: (answer: NamedAnswer) => void,
  ): Promise<Uint8Array | undefined> {
    const refused = (name: string, why: string): void => this.blocked(vm, `${name} was not answered: ${why}`);
    return await this.#answer(
      message,
      { policy: vm.policy, isIpv6: false, allow: async (found) => allow(found), refused },
      transport,
    );
  }

  /** A guest was refused something. */
  blocked(vm: NetworkVm, message: string): void {
    this.#unattached.set(vm.address, vm.id);
    this.#blocked.add(vm.address, message);
  }

  upstreams(): readonly Nameserver[] {
    return this.#hostResolver().servers;
  }

  search(): string[] {
    return [ZONE, ...this.#hostResolver().search];
  }

  #askerOf(vm: NetworkVm): Asker {
    return {
      policy: vm.policy,
      isIpv6: this.plan.ipv6 !== undefined,
      allow: async (answer) => await this.network.allowNamed(vm, answer),
      refused: (name, why) => this.#blocked.add(vm.address, `${name} was not answered: ${why}`),
    };
  }

  #serveGuests(plan: NetworkPlan): Disposable {
    const server = this.#ground.inside.serveDns({
      address: plan.gateway,
      port: DNS_PORT,
      answer: async (message, client, transport) => {
        const vm = this.network.vmAt(client);
        return await this.#answer(message, vm === undefined ? undefined : this.#askerOf(vm), transport);
      },
    });
    server.ready.catch((error: unknown) => this.#options.onProblem("the guests' resolver", error));
    return server;
  }

  /** For the host: names of guests and nothing else. */
  #serveHost(plan: NetworkPlan): Disposable {
    const { dnsPort, onProblem } = this.#options;
    // Whoever cannot reach guests by address has no use for their addresses.
    if (dnsPort === 0 || this.#ground.owner === "user") return { [Symbol.dispose]: () => undefined };
    const server = createDnsServer({
      address: "127.0.0.1",
      port: dnsPort,
      answer: (message, _, transport) => this.#answer(message, undefined, transport),
    });
    server.ready.catch((error: unknown) => onProblem("the host's resolver", error));
    tellResolved({ link: plan.hostLink, port: server.port }, this.#options.resolvectl).catch(
      (error: unknown) => onProblem("systemd-resolved", error),
    );
    return server;
  }

  #readBlocked(): Disposable {
    return this.#ground.inside.readBlocked({
      onBlocked: ({ source, target, protocol, port }) =>
        this.#blocked.add(
          // One guest has one share, over both families.
          this.network.vmAt(source)?.address ?? source,
          `${protocol} to ${port === undefined ? target : hostPort(target, port)} was refused`,
        ),
      onEnd: () => this.#options.onProblem("refused packets", new Error("the kernel's log was lost")),
    });
  }

  async #answer(
    message: Uint8Array,
    asker: Asker | undefined,
    transport: "udp" | "tcp",
  ): Promise<Uint8Array | undefined> {
    try {
      return await this.#resolve(message, asker, transport);
    } catch (error) {
      this.#options.onProblem("a question to the resolver", error);
      return undefined;
    }
  }
}

function hostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function decideOverChannel(...[policy, target, facts]: Parameters<typeof decideTarget>): NetworkDecision {
  return decideEgress(policy, target, { facts });
}
