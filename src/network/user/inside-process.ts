/** The daemon's process in the namespace: started when it is first wanted, and again when it ends though it is wanted. */
import { BangerError } from "../../model/errors.ts";
import { hostLater, type Later, Revival } from "../revival.ts";
import { Connection, type ConnectOptions } from "./connection.ts";
import type { Order } from "./messages.ts";

export interface InsideProcessOptions extends Omit<ConnectOptions, "holderPid"> {
  /** The process whose namespaces it enters; undefined: there is no namespace. */
  readonly holderPid: () => number | undefined;
  readonly onProblem: (what: string, error: unknown) => void;
  /** Default: the host's. */
  readonly later?: Later;
}

/** What it does until it is told to stop. */
export interface Standing extends Disposable {
  readonly ready: Promise<void>;
}

export class InsideProcess {
  readonly #options: InsideProcessOptions;
  readonly #standing = new Set<Order>();
  readonly #revival: Revival;
  #connecting: Promise<Connection> | undefined;

  constructor(options: InsideProcessOptions) {
    this.#options = options;
    this.#revival = new Revival({
      revive: async () => void (await this.#connect()),
      onProblem: (error) => options.onProblem("the process in the namespace", error),
      now: () => performance.now(),
      later: options.later ?? hostLater,
    });
  }

  /** Has it do something. Errors: `unavailable` (it cannot be started, or ended meanwhile), those of the order. */
  async order(order: Order): Promise<unknown> {
    return await (await this.#connect()).order(order);
  }

  /** The same, with the process of which the answer speaks. */
  async orderOf(order: Order): Promise<{ readonly connection: Connection; readonly value: unknown }> {
    const connection = await this.#connect();
    return { connection, value: await connection.order(order) };
  }

  /** Has it do something once more whenever it is started anew, until it gets the order `stop` in place of it. */
  stand(order: Order, stop: Order): Standing {
    const given = this.#connect().then(async (connection) => {
      this.#standing.add(order);
      await connection.order(order);
    });
    return {
      ready: given,
      [Symbol.dispose]: () => {
        const now = this.#connecting;
        void given
          .catch(() => undefined)
          .then(async () => {
            if (this.#standing.delete(order)) await (await now)?.order(stop);
          })
          // One that has ended does nothing any more.
          .catch(() => undefined);
      },
    };
  }

  /** Answers a guest's question that it told of. */
  async answer(id: number, message: Uint8Array | undefined): Promise<void> {
    (await this.#connecting)?.answer(id, message);
  }

  /** Ends it; orders that are under way fail. Safe to repeat. */
  async end(): Promise<void> {
    this.#revival[Symbol.dispose]();
    this.#standing.clear();
    const connecting = this.#connecting;
    this.#connecting = undefined;
    // One that could not be started is gone.
    await (await connecting?.catch(() => undefined))?.kill();
  }

  async #connect(): Promise<Connection> {
    if (this.#connecting !== undefined) return await this.#connecting;
    this.#revival[Symbol.dispose]();
    const mine = this.#open();
    this.#connecting = mine;
    mine.then(
      (connection) => void connection.ended.then((error) => this.#lost(mine, error)),
      () => this.#forget(mine),
    );
    return await mine;
  }

  async #open(): Promise<Connection> {
    const { holderPid, ...options } = this.#options;
    const pid = holderPid();
    if (pid === undefined) throw new BangerError("unavailable", "the network's namespace is not there");
    const connection = await Connection.open({ ...options, holderPid: pid });
    for (const order of this.#standing) await connection.order(order);
    return connection;
  }

  #forget(connecting: Promise<Connection>): boolean {
    if (this.#connecting !== connecting) return false;
    this.#connecting = undefined;
    return true;
  }

  /** It ended though nobody asked it to. */
  #lost(connecting: Promise<Connection>, error: BangerError): void {
    if (!this.#forget(connecting) || this.#standing.size === 0) return;
    this.#options.onProblem("the process in the namespace", error);
    this.#revival.ended();
  }
}
