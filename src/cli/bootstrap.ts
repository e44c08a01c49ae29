/** What a work tree says of its VM, against what the user says: flags go first, and what opens the host is theirs alone. */
import type { ImportWorkspace, WorkspaceBootstrap } from "../api/types/workspaces.ts";
import type { BootstrapSettings, ReservedWish } from "../model/bootstrap.ts";
import { BangerError } from "../model/errors.ts";
import { formatBytes } from "../model/quantities.ts";
import type { NetworkFlags } from "./commands/network-flags.ts";
import type { PortFlags } from "./commands/port-flags.ts";
import type { SizeFlags } from "./commands/size-flags.ts";
import type { CliContext } from "./context.ts";
import { printableLine } from "./render/printable.ts";

export interface BootstrapFlags extends NetworkFlags, PortFlags, SizeFlags {
  readonly image?: string;
  /** False: `--no-bootstrap`. */
  readonly bootstrap?: boolean;
  readonly snapshot?: string;
}

/**
 * Asks the daemon for it; undefined where nothing is wanted of it. Errors: `permission_denied` for what only the user may give,
 * `failed_precondition` for tools without a network, those of `workspace.bootstrap`.
 */
export async function readBootstrap(
  ctx: CliContext,
  workspace: ImportWorkspace | undefined,
  flags: BootstrapFlags,
): Promise<WorkspaceBootstrap | undefined> {
  if (workspace === undefined || flags.bootstrap === false) return undefined;
  const found = await (await ctx.client()).planBootstrap(workspace);
  const own = flags.snapshot === undefined ? found : withoutSettings(found);
  refuseReserved(own, flags);
  refuseToolsWithoutNetwork(own, flags);
  return own;
}

/** What it asks for and no flag overrides, and what would be run, for people: a line each. */
export function bootstrapLines(
  { settings, steps, notes }: WorkspaceBootstrap,
  flags: BootstrapFlags,
): string[] {
  const wishes = wishesOf(settings, flags);
  return [
    ...(wishes.length === 0 ? [] : [`banger.toml asks for ${wishes.join(", ")}`]),
    ...notes,
    ...steps.map(({ command }) => `would run: ${printableLine(command)}`),
  ];
}

/** The same without the commands, which are shown when they run. */
export function sayBootstrap(
  ctx: CliContext,
  found: WorkspaceBootstrap | undefined,
  flags: BootstrapFlags & { readonly quiet?: boolean },
): void {
  if (found === undefined || flags.quiet === true) return;
  for (const line of bootstrapLines({ ...found, steps: [] }, flags)) ctx.say(line);
}

function wishesOf(settings: BootstrapSettings, flags: BootstrapFlags): string[] {
  const { ports, network, env } = settings;
  const image = flags.image === undefined ? settings.image : undefined;
  const vcpus = flags.vcpus === undefined ? settings.vcpus : undefined;
  const { mode, allow } = networkFlagged(flags) ? {} : (network ?? {});
  const sizes = Object.entries({
    memory: flags.memory === undefined ? settings.memoryMib : undefined,
    disk: flags.disk === undefined ? settings.diskMib : undefined,
  });
  const published = flags.publish === undefined ? (ports ?? []) : [];
  return [
    ...(image === undefined ? [] : [`image ${image}`]),
    ...(vcpus === undefined ? [] : [`${vcpus} vcpus`]),
    ...sizes.flatMap(([name, mib]) => (mib === undefined ? [] : [`${name} ${formatBytes(mib * 2 ** 20)}`])),
    ...published.map(
      (port) => `port ${port.hostPort === 0 ? "any" : port.hostPort} to ${port.guestPort}/${port.protocol}`,
    ),
    ...(mode === undefined ? [] : [`network ${mode}`]),
    ...(allow === undefined ? [] : [`allow ${allow.join(" ")}`]),
    ...Object.keys(env ?? {}).map((name) => `env ${name}`),
  ];
}

/** What of the file holds beside what the user says. */
export function settingsBeside(
  found: WorkspaceBootstrap | undefined,
  flags: BootstrapFlags,
): BootstrapSettings {
  const { ports, network, ...rest } = found?.settings ?? {};
  return {
    ...rest,
    ports: flags.publish === undefined ? ports : undefined,
    network: networkFlagged(flags) ? undefined : network,
  };
}

/** `--deny` and `--network-peers` alone would widen what the file narrows, if they replaced it. */
function networkFlagged({ network, nat, allow }: NetworkFlags): boolean {
  return network !== undefined || nat === true || allow !== undefined;
}

function withoutSettings(found: WorkspaceBootstrap): WorkspaceBootstrap {
  const said =
    Object.values(found.settings).some((value) => value !== undefined) || found.reserved.length > 0;
  const note = "banger.toml says nothing of a VM that goes on from a snapshot; only its setup is run";
  return { ...found, settings: {}, reserved: [], notes: [...found.notes, ...(said ? [note] : [])] };
}

const OTHERS: Readonly<Record<ReservedWish["field"], string>> = {
  image: "another one with --image",
  network: "--network public",
  ports: "other ports with -p",
};

function refuseReserved({ reserved }: WorkspaceBootstrap, flags: BootstrapFlags): void {
  const given = {
    image: flags.image !== undefined,
    network: networkFlagged(flags),
    ports: flags.publish !== undefined,
  };
  const [first] = reserved.filter(({ field }) => !given[field]);
  if (first === undefined) return;
  const other = OTHERS[first.field];
  throw new BangerError(
    "permission_denied",
    `banger.toml asks for ${first.flag}, which opens this host, and only you can give that`,
    {
      cure: `if you trust the work tree: ${first.flag}; else ${other}, or --no-bootstrap`,
      details: { field: first.field },
    },
  );
}

function refuseToolsWithoutNetwork({ settings, steps }: WorkspaceBootstrap, flags: BootstrapFlags): void {
  const mode = networkFlagged(flags) ? flags.network : settings.network?.mode;
  if (mode !== "none" || !steps.some(({ source }) => source === "tools")) return;
  throw new BangerError(
    "failed_precondition",
    "the work tree names tools to install, and the VM is to have no network",
    {
      cure: "go without them: --no-bootstrap; or give it a network, such as: --network public",
      details: { field: "network" },
    },
  );
}
