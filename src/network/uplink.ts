/**
 * The way out of the namespace: pasta(1) of the package passt, which turns what leaves into sockets of the host. It needs no
 * forwarding and no rule on the host. It outlives the daemon, as the VMs do, and ends with the namespace (pasta(1),
 * `--no-netns-quit`). docs/decisions/0008-network.md has the reasons.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { endProcess } from "../lib/end-process.ts";
import { findAllByCommandLine } from "../lib/find-processes.ts";
import { isAlive, type MarkOptions, type ProcessHandle } from "../lib/process-identity.ts";
import { type ProcessWatch, watchProcess } from "../lib/process-watch.ts";
import { findProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import {
  type NetworkPlan,
  UPLINK,
  UPLINK_ADDRESS,
  UPLINK_ADDRESS6,
  UPLINK_BITS,
  UPLINK_GATEWAY,
  UPLINK_GATEWAY6,
} from "./names.ts";
import { hostLater, type Later, Revival } from "./revival.ts";

export interface Uplink {
  /** Starts it unless it runs, for the namespace of this plan; resolves when packets can leave. Errors: `unavailable`. */
  ensure(plan: NetworkPlan): Promise<void>;
  /** Ends it and waits until it is gone. Safe to repeat. */
  stop(): Promise<void>;
  /** Lets go of it: it serves on, and nobody here hears of its end. */
  release(): void;
}

/** Where pasta has the namespace's path. Who looks at it otherwise, as `ls` does, must live. */
const MARKED: MarkOptions = { behind: ["--netns"] };
/** How much of pasta's own words an error shows. */
const WORDS_BYTES = 1024;

export interface PastaOptions {
  readonly netnsPath: string;
  /** What tells pasta which namespace is meant; `netnsPath` is one of the words. */
  readonly where: () => readonly string[];
  /** Hears of an end that nobody asked for, and of what came of starting it anew. */
  readonly onProblem: (what: string, error: unknown) => void;
  /** Default: the host's. */
  readonly later?: Later;
}

/** One that ends although nobody asked it to is started anew. */
export function createPastaUplink(options: PastaOptions): Uplink {
  return new PastaUplink(options);
}

class PastaUplink implements Uplink {
  readonly #netnsPath: string;
  readonly #where: PastaOptions["where"];
  readonly #onProblem: PastaOptions["onProblem"];
  readonly #revival: Revival;
  #plan: NetworkPlan | undefined;
  #watch: ProcessWatch | undefined;
  #handle: ProcessHandle | undefined;
  #starting: Promise<void> | undefined;

  constructor({ netnsPath, where, onProblem, later = hostLater }: PastaOptions) {
    this.#netnsPath = netnsPath;
    this.#where = where;
    this.#onProblem = onProblem;
    this.#revival = new Revival({
      revive: async () => {
        if (this.#plan !== undefined) await this.ensure(this.#plan);
      },
      onProblem: (error) => onProblem("the uplink", error),
      now: () => performance.now(),
      later,
    });
  }

  async ensure(plan: NetworkPlan): Promise<void> {
    // The news of its end may be on its way.
    if (this.#watch !== undefined && this.#handle !== undefined && isAlive(this.#handle)) return;
    this.release();
    this.#plan = plan;
    this.#starting ??= this.#start(plan).finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  release(): void {
    this.#plan = undefined;
    this.#revival[Symbol.dispose]();
    this.#watch?.release();
    this.#watch = undefined;
  }

  async stop(): Promise<void> {
    // What is being started is waited for, so that it is found; its failure is whose call it was.
    await this.#starting?.catch(() => undefined);
    this.release();
    // It goes into the background by a fork: the child may have come after the look that found its parent.
    let found = await findAllByCommandLine(this.#netnsPath, MARKED);
    while (found.length > 0) {
      // It has nothing to save, and takes 100 ms to see a TERM.
      await Promise.all(found.map(endProcess));
      found = await findAllByCommandLine(this.#netnsPath, MARKED);
    }
  }

  async #start(plan: NetworkPlan): Promise<void> {
    // One that an earlier daemon started serves on.
    if (await this.#take()) return;
    await startPasta(plan, this.#where());
    if (await this.#take()) return;
    throw new BangerError("unavailable", "pasta ended at once, and the network has no way out", {
      cure: "see what the host offers with: banger doctor",
    });
  }

  async #take(): Promise<boolean> {
    const [found] = await findAllByCommandLine(this.#netnsPath, MARKED);
    const watch = found === undefined ? undefined : await watchProcess(found);
    if (watch === undefined) return false;
    this.#watch = watch;
    this.#handle = found;
    void watch.ended.then(() => {
      if (this.#watch !== watch) return;
      this.#watch = undefined;
      this.#onProblem("the uplink ended", new Error("pasta ended; it is started anew"));
      this.#revival.ended();
    });
    return true;
  }
}

async function startPasta(plan: NetworkPlan, where: readonly string[]): Promise<void> {
  const program = findProgram("pasta");
  if (program === undefined) {
    throw new BangerError("unavailable", "the program pasta is not installed", {
      cure: "apt-get install passt",
    });
  }
  // In the background it returns when everything is set up, and its first process ends.
  const child = spawn(program, pastaArguments(plan, where), {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
    cwd: "/",
  });
  const words: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => {
    if (Buffer.concat(words).length < WORDS_BYTES) words.push(chunk);
  });
  const [code] = (await once(child, "exit")) as [number | null];
  child.stderr.destroy();
  if (code === 0) return;
  const text = Buffer.concat(words)
    .toString("latin1", 0, WORDS_BYTES)
    // It says so of every line where there is no syslog.
    .replace(/Failed to send \d+ bytes to syslog\n?/g, "")
    .trim();
  throw new BangerError("unavailable", `pasta could not connect the network: ${text}`, {
    cure: "see what the host offers with: banger doctor",
  });
}

function pastaArguments(plan: NetworkPlan, where: readonly string[]): string[] {
  return [
    ["--quiet"],
    where,
    ["--config-net", "--ns-ifname", UPLINK],
    // Where the host has no IPv6 it leaves that out by itself, and the namespace has no route for it.
    plan.ipv6 === undefined ? ["--ipv4-only"] : ["--address", UPLINK_ADDRESS6, "--gateway", UPLINK_GATEWAY6],
    ["--address", UPLINK_ADDRESS, "--netmask", String(UPLINK_BITS), "--gateway", UPLINK_GATEWAY],
    // Else the gateway would be the host's loopback.
    ["--no-map-gw"],
    ["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"],
    ["--no-dhcp", "--no-dhcpv6", "--no-ra"],
    // The namespace finds the uplink's gateway by neighbour discovery.
    plan.ipv6 === undefined ? ["--no-ndp"] : [],
  ].flat();
}
