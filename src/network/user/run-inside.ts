/**
 * The daemon's process in an ordinary user's namespace: a process of several threads cannot enter a user namespace (setns(2)), so
 * this one is started there. It does what it is told, remembers nothing, and ends with the daemon.
 */
import { closeSync } from "node:fs";
import { inNetns } from "../../lib/netns.ts";
import { openTap } from "../../lib/tap.ts";
import { BangerError } from "../../model/errors.ts";
import { readBlocked } from "../blocked.ts";
import { createDnsServer } from "../dns/server.ts";
import { listDevices } from "../host-facts.ts";
import { createNetPrograms } from "../programs.ts";
import { setSysctls } from "../sysctls.ts";
import { type Asked, type FromInside, type Order, ToInsideSchema } from "./messages.ts";

/** The namespace that this process is in. */
const HERE = "/proc/thread-self/ns/net";
/** So many questions of guests wait for the daemon at once; further ones get no answer. */
const MAX_ASKED = 1_024;

/** Runs until the daemon lets go of it. */
export function runInside(): void {
  const inside = new Inside();
  process.on("message", (message: unknown) => void inside.take(message));
  process.on("disconnect", () => process.exit(0));
  say({ kind: "ready" });
}

class Inside {
  readonly #programs = createNetPrograms();
  readonly #asked = new Map<number, (message: Uint8Array | undefined) => void>();
  #lastAsked = 0;
  #dns: Disposable | undefined;
  #blocked: Disposable | undefined;

  async take(message: unknown): Promise<void> {
    const said = ToInsideSchema.parse(message);
    const { id } = said;
    if (said.kind === "answer") {
      this.#asked.get(id)?.(said.message);
      this.#asked.delete(id);
      return;
    }
    try {
      say({ kind: "done", id, value: await this.#do(said.order) });
    } catch (error) {
      say({ kind: "failed", id, error: BangerError.from(error).toBody() });
    }
  }

  async #do(order: Order): Promise<unknown> {
    switch (order.what) {
      case "ip":
        return await this.#programs.ip(undefined, order.lines);
      case "ipJson":
        return await this.#programs.ipJson(undefined, order.args);
      case "nft":
        return await this.#programs.nft(HERE, order.script);
      case "nftJson":
        return await this.#programs.nftJson(HERE, order.args);
      case "setSysctls":
        return setSysctls(order.isIpv6);
      case "devices":
        return [...inNetns(HERE, listDevices)];
      case "openTap":
        return openTap(HERE, order.name);
      case "close":
        return closeSync(order.fd);
      case "serveDns":
        return await this.#serveDns(order);
      case "stopDns":
        this.#dns?.[Symbol.dispose]();
        this.#dns = undefined;
        return undefined;
      case "readBlocked":
        this.#blocked ??= readBlocked(HERE, {
          onBlocked: (packet) => say({ kind: "blocked", packet }),
          onEnd: () => say({ kind: "blockedEnd" }),
        });
        return undefined;
      case "stopBlocked":
        this.#blocked?.[Symbol.dispose]();
        this.#blocked = undefined;
        return undefined;
    }
  }

  async #serveDns({ address, port }: Extract<Order, { what: "serveDns" }>): Promise<void> {
    this.#dns?.[Symbol.dispose]();
    const server = createDnsServer({
      address,
      port,
      answer: async (message, client, transport) => await this.#ask({ message, client, transport }),
    });
    this.#dns = server;
    await server.ready;
  }

  async #ask(question: Pick<Asked, "message" | "client" | "transport">): Promise<Uint8Array | undefined> {
    if (this.#asked.size >= MAX_ASKED) return undefined;
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    this.#lastAsked += 1;
    this.#asked.set(this.#lastAsked, resolve);
    say({ kind: "asked", id: this.#lastAsked, ...question });
    return await promise;
  }
}

function say(message: FromInside): void {
  // A daemon that is gone hears nothing: `disconnect` ends this process.
  process.send?.(message, undefined, undefined, () => undefined);
}
