/** The way out of one guest over the agent's channel: it asks, the policy decides, and this host dials. */
import { connect, type Socket } from "node:net";
import { z } from "zod";
import type { Agent } from "../../guest/agent.ts";
import type { AgentStream } from "../../guest/stream.ts";
import { type Clock, pause } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { parseIp } from "../../model/ip.ts";
import type { NetworkFacts, NetworkTarget } from "../../model/network-decision.ts";
import type { NetworkVm } from "../elements.ts";
import type { NamedAnswer } from "../named-addresses.ts";
import { carry } from "../published/carry.ts";
import { AllowedNames } from "./allowed-names.ts";
import { Asks } from "./asks.ts";
import { decideEgress, targetText } from "./decide.ts";
import { DnsStream } from "./dns-stream.ts";
import { DIAL_MS, EGRESS_WINDOW, MAX_EGRESS, MAX_QUESTIONS, RETRY_MS } from "./limits.ts";
import { takeFlow } from "./take-flow.ts";

/** What is asked of a guest's agent. */
export type EgressAgent = Pick<Agent, "openEgress" | "takeFlow">;

export interface EgressOptions {
  readonly clock: Clock;
  /** The guest's agent, as soon as it can be reached. */
  readonly agent: (id: string) => Promise<EgressAgent>;
  /** Connects from this host; default: TCP. The socket is half-open allowed. */
  readonly dial?: (host: string, port: number) => Socket;
  readonly facts: () => NetworkFacts;
  /** Where guests ask for names. */
  readonly gateway: string;
  /** Answers a question of a guest; `allow` hears of what it may reach by it. */
  readonly answer: (
    vm: NetworkVm,
    question: { readonly message: Uint8Array; readonly transport: "udp" | "tcp" },
    allow: (answer: NamedAnswer) => void,
  ) => Promise<Uint8Array | undefined>;
  /** Hears of a connection that a guest was refused. */
  readonly onBlocked: (vm: NetworkVm, message: string) => void;
  readonly onProblem: (id: string, error: BangerError) => void;
}

const FlowSchema: z.ZodType<{ flow: { id: number; address: string; port: number } }> = z.object({
  flow: z.object({
    id: z.int().min(1),
    address: z.ipv4(),
    port: z.int().min(0).max(65_535),
  }),
});
const ReadySchema: z.ZodType<{ egress: object }> = z.object({ egress: z.object({}) });

export class EgressSession {
  readonly #options: EgressOptions;
  readonly #names: AllowedNames;
  readonly #asks: Asks;
  readonly #over = new AbortController();
  /** Open and being made. */
  readonly #connections = new Map<Socket, NetworkTarget>();
  readonly #settled = Promise.withResolvers<void>();
  #vm: NetworkVm;
  #questions = 0;
  #dnsStreams = 0;
  #hopeless = false;

  constructor(vm: NetworkVm, options: EgressOptions) {
    this.#vm = vm;
    this.#options = options;
    this.#names = new AllowedNames(() => options.clock.now());
    this.#asks = new Asks(() => options.clock.now());
    void this.#serve();
  }

  /** Whether there is no hope of a way out: a guest that is too old, or whose kernel has no TUN devices. */
  get hopeless(): boolean {
    return this.#hopeless;
  }

  /** Resolves when the guest has its way out, or it is known that it cannot have one. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Another policy holds from now on, for connections that are open, too. */
  change(vm: NetworkVm): void {
    this.#vm = vm;
    for (const [socket, target] of this.#connections) {
      if (this.#decide(target).verdict === "deny") socket.resetAndDestroy();
    }
  }

  /** Ends all connections. Safe to repeat. */
  close(): void {
    this.#over.abort(new BangerError("cancelled", "the VM ended"));
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#settled.resolve();
  }

  /** Serves the guest, and serves it again when its connection was lost. */
  async #serve(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        await this.#attach();
      } catch (thrown) {
        const error = BangerError.from(thrown);
        if (!signal.aborted) this.#options.onProblem(this.#vm.id, error);
        this.#settled.resolve();
        // It will not be otherwise the next time.
        this.#hopeless = error.code === "unsupported";
        if (this.#hopeless) return this.#tellHopeless(error);
      }
      await pause(RETRY_MS, this.#options.clock, signal).catch(() => undefined);
    }
  }

  /** Where whoever asked for a way out looks for what was refused. */
  #tellHopeless({ message }: BangerError): void {
    if (this.#vm.policy.mode === "none") return;
    const cure = "banger kernel pull debian and a restart of the VM give it one that has them";
    this.#options.onBlocked(this.#vm, `nothing can be reached: ${message}; ${cure}`);
  }

  async #attach(): Promise<void> {
    const agent = await this.#options.agent(this.#vm.id);
    if (this.#over.signal.aborted) return;
    const { address } = this.#vm;
    const stream: AgentStream = agent.openEgress(
      { address, gateway: this.#options.gateway },
      {
        onControl: (message) => {
          if (ReadySchema.safeParse(message).success) this.#settled.resolve();
          const asked = FlowSchema.safeParse(message);
          if (asked.success) this.#meet(asked.data.flow, { agent, stream });
        },
        onData: (channel, bytes) => {
          if (channel !== 1) return;
          stream.returnCredit(1, bytes.length);
          void this.#question(bytes, stream);
        },
      },
    );
    const onAbort = (): void => stream.reset();
    this.#over.signal.addEventListener("abort", onAbort, { once: true });
    try {
      await stream.result;
    } finally {
      this.#over.signal.removeEventListener("abort", onAbort);
    }
  }

  #decide(target: NetworkTarget): ReturnType<typeof decideEgress> {
    const text = targetText({ ...target, port: undefined });
    return decideEgress(this.#vm.policy, target, {
      facts: this.#options.facts(),
      names: this.#names.of(text),
    });
  }

  #meet(
    flow: { id: number; address: string; port: number },
    guest: { agent: EgressAgent; stream: AgentStream },
  ): void {
    const address = parseIp(flow.address);
    const refuse = (): void => {
      // One that asks and does not read hears nothing, or what it is told would pile up.
      if (!guest.stream.congested) guest.stream.sendControl({ refuse: { id: flow.id } });
    };
    const open = this.#connections.size + this.#dnsStreams;
    if (address === undefined || !this.#asks.take() || open >= MAX_EGRESS) return refuse();
    const target: NetworkTarget = { address, protocol: "tcp", port: flow.port };
    const { verdict, rule } = this.#decide(target);
    if (verdict === "deny") {
      this.#options.onBlocked(this.#vm, `tcp to ${targetText(target)} was refused: ${rule}`);
      return refuse();
    }
    if (flow.address === this.#options.gateway) return this.#serveNames(flow.id, guest.agent);
    const socket = (this.#options.dial ?? dialTcp)(flow.address, flow.port);
    this.#connections.set(socket, target);
    socket.once("close", () => this.#connections.delete(socket));
    const letGo = this.#options.clock.after(DIAL_MS, () => socket.destroy());
    const onFail = (): void => {
      letGo();
      refuse();
    };
    // What broke is told by "close", too.
    socket.on("error", () => undefined).once("close", onFail);
    socket.once("connect", () => {
      letGo();
      socket.off("close", onFail).pause();
      const open = takeFlow(guest.agent, { id: flow.id, window: EGRESS_WINDOW, clock: this.#options.clock });
      // A connection that breaks is the guest's to notice.
      carry(socket, open, EGRESS_WINDOW).catch(() => undefined);
    });
  }

  /** Names over TCP, as resolvers have it when an answer is long. */
  #serveNames(id: number, agent: EgressAgent): void {
    const { clock } = this.#options;
    this.#dnsStreams += 1;
    new DnsStream(async (message) => await this.#answer(message, "tcp"))
      .serve(takeFlow(agent, { id, window: EGRESS_WINDOW, clock }))
      // One that breaks is the guest's to notice.
      .catch(() => undefined)
      .finally(() => {
        this.#dnsStreams -= 1;
      });
  }

  async #question(bytes: Uint8Array, stream: AgentStream): Promise<void> {
    // The number of the question stands in front of it, and of its answer.
    const message = bytes.subarray(2);
    const answer = await this.#answer(message, "udp");
    if (answer === undefined || stream.over) return;
    const reply = Buffer.concat([bytes.subarray(0, 2), answer]);
    // What finds no room is lost, as datagrams are.
    if (reply.length <= stream.sendCredit && !stream.congested) stream.sendData(reply);
  }

  async #answer(message: Uint8Array, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    if (this.#questions >= MAX_QUESTIONS) return undefined;
    this.#questions += 1;
    try {
      return await this.#options.answer(this.#vm, { message, transport }, (answer) =>
        this.#names.allow(answer),
      );
    } finally {
      this.#questions -= 1;
    }
  }
}

function dialTcp(host: string, port: number): Socket {
  return connect({ host, port, allowHalfOpen: true, noDelay: true });
}
