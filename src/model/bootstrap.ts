/** What a work tree says of the VM that it would like, and of what is to be run in it before anything else. */
import type { NetworkWish } from "./network-policy.ts";
import type { PublishedPort } from "./published-port.ts";

/** Where a command comes from, in the order in which they run. */
export const SETUP_SOURCES = ["tools", "devcontainer", "setup"] as const;
export type SetupSource = (typeof SETUP_SOURCES)[number];

/** Commands of one run, and bytes of each. */
export const MAX_SETUP_STEPS = 64;
export const MAX_SETUP_COMMAND: number = 32 * 1024;
/** Files that decide what a setup makes, and characters of the path of each. */
export const MAX_SETUP_INPUTS = 256;
export const MAX_SETUP_INPUT = 1024;

/** Where the guest keeps what the commands wrote; the VM's variable `BANGER_SETUP_LOG` names another place. */
export const SETUP_LOG = "/var/log/banger-bootstrap.log";

/** One command: run by `sh -c` as root, in the workspace. Of `tools` only where the guest has mise. */
export interface SetupStep {
  readonly source: SetupSource;
  readonly command: string;
}

/** What is to be run, in this order, and what decides what it makes. */
export interface Setup {
  readonly steps: readonly SetupStep[];
  /** Files of the work tree, by their paths below its top: what a setup made is not used again when one of them has changed. */
  readonly inputs: readonly string[];
}

/** What `banger.toml` asks for. It can narrow what a guest may reach, never widen it. */
export interface BootstrapSettings {
  readonly image?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMib?: number | undefined;
  readonly diskMib?: number | undefined;
  /** On the loopback of the host. */
  readonly ports?: readonly PublishedPort[] | undefined;
  readonly network?: NetworkWish | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Something that a work tree asks for and only a user may give, by that flag or another of the same field. */
export interface ReservedWish {
  readonly field: "image" | "network" | "ports";
  /** Such as `--network full`. */
  readonly flag: string;
}

/** Everything that a work tree says. */
export interface Bootstrap extends Setup {
  readonly settings: BootstrapSettings;
  readonly reserved: readonly ReservedWish[];
  /** What it says and nothing is made of, for people. */
  readonly notes: readonly string[];
}

/** Whether this is a path below the top of a work tree, without anything odd in it. */
export function isInputPath(path: string): boolean {
  const parts = path.split("/");
  return (
    path.length <= MAX_SETUP_INPUT &&
    !path.includes("\0") &&
    parts.every((part) => part !== "" && part !== "." && part !== ".." && part !== ".git")
  );
}
