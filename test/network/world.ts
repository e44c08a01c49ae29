/**
 * A world of network namespaces: an internet with servers on public-looking, private and metadata addresses, a host of our own in
 * front of it, on which banger's network runs, and guests. The machine's own network takes no part.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { macFromAddress } from "../../src/model/addresses.ts";
import { type NetworkSpec, PUBLIC_NETWORK, parseNetworkPolicy } from "../../src/model/network-policy.ts";
import { findAvailability } from "../../src/network/availability.ts";
import type { Ground } from "../../src/network/ground.ts";
import { createNetPrograms, type NetPrograms } from "../../src/network/programs.ts";
import { NetworkService, type NetworkServiceOptions } from "../../src/network/service.ts";
import { createUserGround } from "../../src/network/user/user-ground.ts";
import { NAMESERVER, POOL } from "./addresses.ts";
import { createGuest, type Guest } from "./guest.ts";
import { createOwnHost } from "./own-host.ts";

const available = findAvailability();
/** Why there can be no world here. */
export const NO_WORLD: string | undefined = available.kind === "none" ? available.why : undefined;
if (NO_WORLD !== undefined) console.warn(`skipped: networks of namespaces: ${NO_WORLD}`);

/** Both ways to have the network. */
export const OWNERS: readonly Ground["owner"][] = ["root", "user"];

export interface World extends AsyncDisposable {
  readonly id: string;
  readonly service: NetworkService;
  /** What was blocked, by guest. */
  readonly blocked: { readonly id: string; readonly message: string }[];
  readonly problems: string[];
  /** Steps that were announced. */
  readonly steps: string[];
  readonly programs: NetPrograms;
  /** Another daemon's view of the same namespace. */
  createService(over?: Partial<NetworkServiceOptions>): NetworkService;
  /** A guest on the network: a namespace that stands for its kernel. */
  guest(address: string, network?: Partial<NetworkSpec>): Promise<Guest>;
  /** Those that were made. */
  guests(): readonly Guest[];
  /** Changes what a guest may reach. */
  set(guest: Guest, network: Partial<NetworkSpec>): Promise<void>;
}

/**
 * Makes one. Disposing leaves nothing of it. `ipv6`: host and internet speak it; default: when guests do. `owner`: how the network is
 * had; default: as root.
 */
export async function createWorld(
  options: Partial<NetworkServiceOptions> = {},
  {
    ipv6 = options.pool6 !== undefined,
    owner = "root",
  }: { readonly ipv6?: boolean; readonly owner?: Ground["owner"] } = {},
): Promise<World> {
  const id = randomBytes(3).toString("hex");
  await using undo = new AsyncDisposableStack();
  const real = createNetPrograms();
  undo.use(await createOwnHost({ id, nameservers: [NAMESERVER], ipv6 }));
  const blocked: World["blocked"] = [];
  const problems: string[] = [];
  const steps: string[] = [];
  const programs = vethsForTaps(real);
  const ground = owner === "root" ? {} : userNetwork(undo, problems);
  const createService = (over: Partial<NetworkServiceOptions> = {}): NetworkService =>
    new NetworkService({
      uid: 0,
      stateDir: `/world/${id}`,
      pool: POOL,
      poolIsChosen: false,
      tapPoolSize: 2,
      dnsPort: 0,
      addressOf: (name) => (name === "web" ? "172.30.5.2" : undefined),
      nicsRefused: async () => undefined,
      onBlocked: (vm, message) => void blocked.push({ id: vm, message }),
      onProblem: (what, error) => void problems.push(`${what}: ${String(error)}`),
      onStep: (step) => void steps.push(step),
      hostResolver: () => ({ servers: [{ address: NAMESERVER, port: 53 }], search: [] }),
      programs,
      ...ground,
      ...options,
      ...over,
    });
  const service = createService();
  const guests = new Map<string, Guest>();
  undo.defer(async () => {
    for (const guest of guests.values()) await service.network.detach(guest.id);
    await service.network.down();
  });
  const held = undo.move();
  return {
    id,
    service,
    blocked,
    problems,
    steps,
    programs,
    createService,
    async guest(address, network = {}) {
      const vm = vmOf(address, network);
      const { tap } = await service.network.attach(vm);
      const guest = await createGuest(real, { vm, world: id, plan: service.plan, peer: peerOf(tap) });
      held.defer(() => guest[Symbol.asyncDispose]());
      guests.set(vm.id, guest);
      return guest;
    },
    guests: () => [...guests.values()],
    async set(guest, network) {
      await service.network.change({ ...vmOf(guest.address, network), id: guest.id });
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** As an ordinary user has it. Root may do so, too. */
function userNetwork(
  undo: AsyncDisposableStack,
  problems: string[],
): Pick<NetworkServiceOptions, "netnsPath" | "ground"> {
  const dir = undo.adopt(mkdtempSync(join(tmpdir(), "banger-world-")), (made) =>
    rmSync(made, { recursive: true }),
  );
  return {
    netnsPath: join(dir, "netns"),
    ground: (plan) => {
      const ground = createUserGround(plan, {
        self: [process.execPath, join(import.meta.dir, "../../src/main.ts"), "daemon", "inside"],
        onProblem: (what, error) => void problems.push(`${what}: ${String(error)}`),
      });
      return { ...ground, inside: { ...ground.inside, programs: vethsForTaps(ground.inside.programs) } };
    },
  };
}

/** A VM as the network knows it. */
export function vmOf(address: string, network: Partial<NetworkSpec>): Parameters<NetworkService["check"]>[0] {
  const policy = parseNetworkPolicy({ ...PUBLIC_NETWORK, ...network });
  const id = Buffer.from(address.split(".").map(Number)).toString("hex").padStart(12, "0");
  return { id, address, mac: macFromAddress(address), policy };
}

/** A guest is a namespace here: where banger makes a tap, it gets one end of a pair, and the guest the other. */
function vethsForTaps(programs: NetPrograms): NetPrograms {
  return {
    ...programs,
    ip: async (netns, lines) =>
      await programs.ip(
        netns,
        lines.map((line) =>
          line.replace(
            /^tuntap add dev (\S+) mode tap.*$/,
            (_, name: string) => `link add ${name} type veth peer name ${peerOf(name)}`,
          ),
        ),
      ),
  };
}

function peerOf(tap: string): string {
  return tap.replace("tap", "gst");
}
