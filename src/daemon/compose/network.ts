/** The network, composed: the namespace, and the way out over the agent's channel. */
import type { Agent } from "../../guest/agent.ts";
import { createClock } from "../../lib/clock.ts";
import { Egress } from "../../network/egress/egress.ts";
import { dialByRoute, type Routed } from "../../network/published/route.ts";
import { NetworkService } from "../../network/service.ts";
import { createUserGround } from "../../network/user/user-ground.ts";
import type { Store } from "../../store/store.ts";
import type { DriverChoice } from "../driver-choice.ts";
import type { ComposeOptions } from "./options.ts";

export function createNetwork(
  { layout, log, config, self, onStep = () => undefined }: ComposeOptions,
  { store, drivers }: { readonly store: Store; readonly drivers: DriverChoice },
): NetworkService {
  const { addressPool, tapPoolSize, dnsPort } = config.values;
  const onProblem = (what: string, error: unknown): void => log.warn({ err: error }, `network: ${what}`);
  return new NetworkService({
    uid: process.getuid?.() ?? 0,
    stateDir: layout.stateDir,
    pool: addressPool,
    pool6: config.values.pool6,
    poolIsChosen: config.origins.addressPool !== "default",
    tapPoolSize,
    dnsPort,
    way: config.values.networkWay,
    channelRefused: async () => {
      const { report } = await drivers.choose();
      return report.features.tun ? undefined : `the guests of the hypervisor ${report.driver} have no kernel`;
    },
    addressOf: (name) => store.vms.byName(name)?.address,
    ...(self === undefined || process.geteuid?.() === 0
      ? {}
      : {
          netnsPath: layout.netns,
          ground: (plan) => createUserGround(plan, { self: [...self, "daemon", "inside"], onProblem }),
        }),
    nicsRefused: async (owner) => {
      const { report } = await drivers.choose();
      if (owner === "user" && !report.features.openedNics)
        return {
          why: `the hypervisor ${report.driver} opens taps by itself, which it cannot in an ordinary user's namespace`,
          cure: "run banger as root",
        };
      return report.features.nics
        ? undefined
        : {
            why: `the hypervisor ${report.driver} gives guests no network card`,
            cure: "see which others this host could have with: banger doctor",
          };
    },
    onBlocked: (id, message) => {
      const vm = store.vms.byId(id);
      if (vm !== undefined) store.events.note("blocked", vm, message);
    },
    onProblem,
    onStep,
  });
}

export function createEgress(
  { log }: ComposeOptions,
  network: NetworkService,
  agent: (id: string) => Promise<Agent>,
): Egress {
  return new Egress({
    clock: createClock(),
    agent,
    facts: () => network.facts(),
    gateway: network.plan.gateway,
    answer: async (...question) => await network.answer(...question),
    onBlocked: (vm, message) => network.blocked(vm, message),
    onProblem: (id, error) => {
      const level = error.code === "unsupported" ? "warn" : "debug";
      log[level]({ vm: id, reason: error.message }, "the guest has no way out over the agent's channel");
    },
  });
}

/** Connections to guests' addresses; a VM is in use while one is open. */
export function createRoute(
  network: NetworkService,
  use: (id: string) => Disposable,
): (id: string, port: number) => Promise<Routed> {
  const clock = createClock();
  return async (id, port) => {
    const host = network.routeTo(id);
    if (host === undefined) return "none";
    const using = use(id);
    const release = (): void => using[Symbol.dispose]();
    const routed = await dialByRoute({ host, port }, clock);
    if (typeof routed === "object" && !routed.destroyed) routed.once("close", release);
    else release();
    return routed;
  };
}
