/** A table of policies walked cell by cell: for each target and probe, what arrives, what `network check` says, and what is wanted. */
import type { NetworkSpec } from "../../src/model/network-policy.ts";
import type { Protocol } from "../../src/model/network-rule.ts";
import type { Guest } from "./guest.ts";
import { vmOf, type World } from "./world.ts";

const PROBES: readonly (readonly [name: string, protocol: Protocol, port: number | undefined])[] = [
  ["80/tcp", "tcp", 80],
  ["81/tcp", "tcp", 81],
  ["80/udp", "udp", 80],
  ["icmp", "icmp", undefined],
];
export const EVERYTHING: readonly string[] = PROBES.map(([name]) => name);

/** A policy, and by target the probes that it lets through; everything else is to be refused. */
export interface PolicyRow<Target extends string> {
  readonly network: Partial<NetworkSpec>;
  readonly open: Partial<Record<Target, readonly string[]>>;
}

export interface Cell {
  readonly cell: string;
  readonly wanted: boolean;
  readonly arrived: boolean;
  readonly checked: boolean;
  readonly rule: string;
}

/** Every cell, one packet each; the guest is left with the last policy. */
export async function walkCells<Target extends string>(
  world: World,
  guest: Guest,
  {
    targets,
    policies,
  }: {
    readonly targets: Readonly<Record<Target, string>>;
    readonly policies: Readonly<Record<string, PolicyRow<Target>>>;
  },
): Promise<Cell[]> {
  const cells: Cell[] = [];
  const names: readonly Target[] = keysOf(targets);
  for (const [title, { network, open }] of Object.entries<PolicyRow<Target>>(policies)) {
    await world.set(guest, network);
    const found = names.flatMap((target) =>
      PROBES.map(async ([probe, protocol, port]): Promise<Cell> => {
        const address = targets[target];
        const wanted = (open[target] ?? []).includes(probe);
        const { verdict, rule } = await world.service.check(
          vmOf(guest.address, network),
          checkedText(address, protocol, port),
        );
        const arrived = await guest.reaches(address, protocol, port);
        return { cell: `${title}: ${target} ${probe}`, wanted, arrived, checked: verdict === "allow", rule };
      }),
    );
    cells.push(...(await Promise.all(found)));
  }
  return cells;
}

/** Those where packet, check and table disagree. */
export function disagreements(cells: readonly Cell[]): Cell[] {
  return cells.filter(({ wanted, arrived, checked }) => wanted !== arrived || wanted !== checked);
}

function checkedText(address: string, protocol: Protocol, port: number | undefined): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}${port === undefined ? "" : `:${port}`}/${protocol}`;
}

function keysOf<Key extends string>(table: Readonly<Record<Key, unknown>>): Key[] {
  const isKey = (key: string): key is Key => key in table;
  return Object.keys(table).filter(isKey);
}
