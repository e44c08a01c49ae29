/** Taps that wait for a VM: made in the background, several at once, so that a start finds one ready. */
import { randomBytes } from "node:crypto";
import type { Inside } from "./ground.ts";
import { BRIDGE, TAP_PREFIX } from "./names.ts";

export interface TapPoolOptions {
  readonly netnsPath: string;
  readonly inside: Inside;
  /** So many taps are kept ready. */
  readonly size: number;
  /** Whether the namespace speaks IPv6. */
  readonly isIpv6: () => boolean;
  /** Hears why the pool could not be filled. */
  readonly onProblem: (error: unknown) => void;
}

export class TapPool {
  readonly #options: TapPoolOptions;
  #ready: string[] = [];
  #filling: Promise<void> | undefined;
  #discarding: Promise<void> = Promise.resolve();

  constructor(options: TapPoolOptions) {
    this.#options = options;
  }

  get ready(): number {
    return this.#ready.length;
  }

  /** A tap on the bridge that nobody has: one that is ready, else a new one. The pool is then filled again. */
  async take(): Promise<string> {
    const tap = this.#ready.pop();
    if (tap !== undefined) return tap;
    const [made = ""] = await this.#make(1);
    return made;
  }

  /** Fills the pool in the background; never throws. */
  fill(): void {
    if (this.#filling !== undefined || this.#ready.length >= this.#options.size) return;
    this.#filling = this.#make(this.#options.size - this.#ready.length)
      .then((made) => void this.#ready.push(...made))
      .catch((error: unknown) => this.#options.onProblem(error))
      .finally(() => {
        this.#filling = undefined;
      });
  }

  /** Removes taps in the background, which takes the kernel some tens of milliseconds; never throws. One that is gone already is well. */
  discard(taps: readonly string[]): void {
    const { netnsPath, inside, onProblem } = this.#options;
    const lines = async (): Promise<string[]> => {
      const there = await inside.devices();
      return taps.filter((tap) => there.has(tap)).map((tap) => `link del ${tap}`);
    };
    this.#discarding = this.#discarding
      .then(async () => await inside.programs.ip(netnsPath, await lines()))
      .catch((error: unknown) => onProblem(error));
  }

  /** Resolves when nothing is being made or removed. */
  async settled(): Promise<void> {
    await this.#filling;
    await this.#discarding;
  }

  /** Forgets its taps, whose namespace is gone. */
  clear(): void {
    this.#ready = [];
  }

  /** Frames from a tap go nowhere until the rules know it: its name with an address and a MAC is what lets them pass. */
  async #make(count: number): Promise<string[]> {
    const names = Array.from({ length: count }, () => `${TAP_PREFIX}${randomBytes(4).toString("hex")}`);
    await this.#options.inside.programs.ip(
      this.#options.netnsPath,
      names.flatMap((name) => [
        `tuntap add dev ${name} mode tap vnet_hdr`,
        // The bridge has the addresses; a tap with one would only send its guest what that has no use for.
        ...(this.#options.isIpv6() ? [`link set dev ${name} addrgenmode none`] : []),
        `link set dev ${name} master ${BRIDGE} up`,
        `link set dev ${name} type bridge_slave isolated on`,
      ]),
    );
    return names;
  }
}
