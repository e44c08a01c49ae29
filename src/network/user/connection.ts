/** A process of ours in the namespace that has said that it is there, until it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { LineTail } from "../../lib/line-tail.ts";
import { findProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { type FromInside, FromInsideSchema, type News, type Order, type ToInside } from "./messages.ts";

export interface ConnectOptions {
  /** What runs `runInside`: the program and its arguments. */
  readonly self: readonly string[];
  /** The process whose namespaces it enters. */
  readonly holderPid: number;
  readonly onNews: (news: News) => void;
}

export class Connection {
  /** Resolves with what there is to say of its end; never rejects. */
  readonly ended: Promise<BangerError>;
  readonly #child: ChildProcess;
  readonly #orders = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #onNews: ConnectOptions["onNews"];
  #lastId = 0;

  /** Resolves when it takes orders. Errors: `unavailable`. */
  static async open(options: ConnectOptions): Promise<Connection> {
    const connection = new Connection(options);
    await connection.#ready.promise;
    return connection;
  }

  private constructor({ self, holderPid, onNews }: ConnectOptions) {
    const enter = ["--preserve-credentials", "--user", "--net", `--target=${holderPid}`, "--"];
    this.#onNews = onNews;
    this.#child = spawn(findProgram("nsenter") ?? "nsenter", [...enter, ...self], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
      cwd: "/",
    });
    const words = new LineTail();
    this.#child.stderr?.on("data", (chunk: Uint8Array) => words.push(chunk));
    this.#child.on("message", (message: unknown) => this.#take(message));
    this.ended = new Promise<void>((resolve) => {
      this.#child.once("error", () => resolve());
      this.#child.once("exit", () => resolve());
    }).then(() => this.#end(words.end()));
    // Whoever opens it awaits it.
    this.#ready.promise.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Has it do something. Errors: `unavailable` (it ended), those of the order. */
  async order(order: Order): Promise<unknown> {
    this.#lastId += 1;
    const end = Promise.withResolvers<unknown>();
    this.#orders.set(this.#lastId, end);
    if (this.#child.connected) this.#tell({ kind: "order", id: this.#lastId, order });
    else end.reject(await this.ended);
    return await end.promise;
  }

  /** Answers a guest's question that it told of; without a message: there is none. */
  answer(id: number, message: Uint8Array | undefined): void {
    if (this.#child.connected) this.#tell({ kind: "answer", id, message });
  }

  /** Ends it, and resolves when it is gone; what is under way fails. It holds nothing that is not the kernel's. Safe to repeat. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  #take(message: unknown): void {
    const parsed = FromInsideSchema.safeParse(message);
    // It is ours, and says nothing else as long as it is well.
    if (!parsed.success) return void this.#child.kill("SIGKILL");
    const said: FromInside = parsed.data;
    switch (said.kind) {
      case "ready":
        return this.#ready.resolve();
      case "done":
        return this.#taken(said.id)?.resolve(said.value);
      case "failed":
        return this.#taken(said.id)?.reject(BangerError.fromBody(said.error));
      case "asked":
      case "blocked":
      case "blockedEnd":
        return this.#onNews(said);
    }
  }

  #taken(id: number): PromiseWithResolvers<unknown> | undefined {
    const found = this.#orders.get(id);
    this.#orders.delete(id);
    return found;
  }

  #tell(message: ToInside): void {
    // One that is gone hears nothing, and its end is told by `exit`.
    this.#child.send(message, () => undefined);
  }

  #end(words: string): BangerError {
    const why = words === "" ? "" : `: ${words}`;
    const error = new BangerError("unavailable", `the process in the network's namespace ended${why}`, {
      cure: "see what the host offers with: banger doctor",
    });
    this.#ready.reject(error);
    for (const order of this.#orders.values()) order.reject(error);
    this.#orders.clear();
    return error;
  }
}
