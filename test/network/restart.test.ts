/** A daemon that dies and comes back, at any step, while guests knock without a pause: what was closed is never open, not for a moment. */
import { test as anyTest, expect } from "bun:test";
import type { NetworkSpec } from "../../src/model/network-policy.ts";
import type { Network } from "../../src/network/network.ts";
import type { NetworkService } from "../../src/network/service.ts";
import {
  HOST,
  HOST6,
  METADATA,
  METADATA6,
  POOL6,
  PRIVATE_HOST,
  PRIVATE_HOST6,
  SITE,
  SITE6,
} from "./addresses.ts";
import type { Guest } from "./guest.ts";
import { createWorld, NO_WORLD, OWNERS, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const DEATH = "the daemon dies here";
/** What each guest may never reach, whichever of its policies holds. */
const CLOSED = [
  [
    "172.30.5.2",
    { mode: "none" },
    { mode: "none", peers: true },
    [SITE, PRIVATE_HOST, HOST, METADATA, SITE6],
  ],
  [
    "172.30.5.3",
    { mode: "public" },
    { mode: "allow", allow: ["203.0.113.0/24:80"] },
    [PRIVATE_HOST, HOST, PRIVATE_HOST6, HOST6],
  ],
  [
    "172.30.5.4",
    { mode: "allow", allow: ["10.1.0.0/16:81"] },
    { mode: "public" },
    [PRIVATE_HOST, METADATA, METADATA6],
  ],
] as const satisfies readonly (readonly [
  string,
  Partial<NetworkSpec>,
  Partial<NetworkSpec>,
  readonly string[],
])[];

test.each(OWNERS)(
  "no guest of %s reaches more than its policies say while daemons die at every step and others take over",
  async (owner) => {
    await using world = await createWorld({ pool6: POOL6 }, { owner });
    const guests: Guest[] = [];
    for (const [address, network] of CLOSED) guests.push(await world.guest(address, network));
    const knocking = new Knocking(guests.map((guest, at) => [guest, CLOSED[at]?.[3] ?? []]));
    world.service.network[Symbol.dispose]();
    const vms = (which: 1 | 2): ReturnType<typeof vmOf>[] => CLOSED.map((row) => vmOf(row[0], row[which]));
    const steps = [
      "network:recover",
      "network:policy",
      "network:tap",
      "network:rules",
      "network:detach",
      "none",
    ];
    const work = async (network: Network): Promise<void> => {
      await network.recover(vms(1));
      for (const vm of vms(2)) await network.change(vm);
      await network.attach(vmOf("172.30.5.9", { mode: "full" }));
      for (const vm of vms(1)) await network.change(vm);
      await network.detach(vmOf("172.30.5.9", {}).id);
    };
    let last: NetworkService | undefined;
    for (const step of [...steps, ...steps]) {
      last?.network[Symbol.dispose]();
      const next = world.createService({ onStep: (name) => void (name === step && die()) });
      last = next;
      // All that it would have done had it lived.
      await work(next.network).catch(expectDeath);
      await knocking.round();
    }
    const { knocks, opened } = await knocking.end();
    expect(opened).toEqual([]);
    expect(knocks).toBeGreaterThan(CLOSED.length * steps.length * 2);
    // The knocks were real ones: with another policy the same guest is let in.
    await last?.network.change(vmOf("172.30.5.2", { mode: "full" }));
    expect(await guests[0]?.reaches(SITE, "tcp", 80)).toBe(true);
    expect(await guests[0]?.reaches(SITE6, "tcp", 80)).toBe(true);
    for (const [address] of CLOSED) await last?.network.detach(vmOf(address, {}).id);
    await last?.network.down();
  },
);

/** Guests that try what is closed to them, all the time. */
class Knocking {
  readonly #loops: Promise<void>[];
  readonly #opened: string[] = [];
  #knocks = 0;
  #over = false;
  #round = Promise.withResolvers<void>();

  constructor(targets: readonly (readonly [Guest, readonly string[]])[]) {
    this.#loops = targets.map(([guest, closed]) => this.#knock(guest, closed));
  }

  /** Resolves when some guest has tried everything once more. */
  async round(): Promise<void> {
    await this.#round.promise;
  }

  async end(): Promise<{ readonly knocks: number; readonly opened: readonly string[] }> {
    this.#over = true;
    await Promise.all(this.#loops);
    return { knocks: this.#knocks, opened: this.#opened };
  }

  async #knock(guest: Guest, closed: readonly string[]): Promise<void> {
    while (!this.#over) {
      for (const address of closed) {
        this.#knocks += 2;
        if (await guest.reaches(address, "tcp", 80)) this.#opened.push(`${guest.address} to ${address}/tcp`);
        if (await guest.reaches(address, "udp", 80)) this.#opened.push(`${guest.address} to ${address}/udp`);
      }
      this.#round.resolve();
      this.#round = Promise.withResolvers();
    }
  }
}

function die(): never {
  throw new Error(DEATH);
}

function expectDeath(error: unknown): void {
  expect(String(error)).toContain(DEATH);
}
