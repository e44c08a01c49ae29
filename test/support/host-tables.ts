/**
 * The host's own links, routes and rules as `ip link`, `ip route`, `ip rule` and `nft list ruleset` have them. Links of banger, with the
 * routes over them, are left out: other daemons of this machine have some, and every home of a test looks after its own.
 */
import { createNetPrograms } from "../../src/network/programs.ts";

/** One line each. Errors: `unavailable` without the programs, `internal` for whoever may not look. */
export async function hostTables(): Promise<string[]> {
  const programs = createNetPrograms();
  const [links, routes, rules] = await Promise.all([
    programs.ipJson(undefined, ["link", "show"]),
    programs.ipJson(undefined, ["route", "show", "table", "all"]),
    programs.ipJson(undefined, ["rule", "show"]),
  ]);
  const ruleset = await programs.nftJson("/proc/thread-self/ns/net", ["list", "ruleset"]);
  return [
    ...lines("link", links, ({ ifname }) => ({ ifname })),
    ...lines("route", routes, (route) => route),
    ...lines("rule", rules, (rule) => rule),
    ...lines("nft", isRecord(ruleset) ? ruleset["nftables"] : undefined, withoutCounts),
  ]
    .filter((line) => !/"bng[0-9a-f]{8}"/.test(line))
    .toSorted();
}

/** What is in one of the lists only, marked with `-` and `+` as diff(1) does. */
export function differences(before: readonly string[], after: readonly string[]): string[] {
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}

type Entry = Readonly<Record<string, unknown>>;

function lines(what: string, list: unknown, show: (entry: Entry) => unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.filter(isRecord).map((entry) => `${what} ${JSON.stringify(show(entry))}`);
}

/** What a rule has counted is not what it says, and its handle is only where it is. */
function withoutCounts(entry: Entry): unknown {
  return JSON.parse(JSON.stringify(entry), (key, value: unknown) =>
    key === "packets" || key === "bytes" || key === "handle" ? 0 : value,
  );
}

function isRecord(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
